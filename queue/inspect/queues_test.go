package inspect_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

func TestQueue(t *testing.T) {
	f := newFixture(t)
	f.push("a", 120)
	f.raw.RPush(t.Context(), "queue:a",
		`{"class":"Old","jid":"old","args":[],"enqueued_at":`+
			fmt.Sprint(time.Now().Add(-time.Hour).UnixMilli())+`}`)
	f.store.Pause(t.Context(), "a")
	q, err := f.in.Queue(t.Context(), "a")
	if err != nil || q.Size != 121 || !q.Paused || q.Latency < 3599 || q.Latency > 3610 {
		t.Errorf("%+v %v", q, err)
	}
	page, _ := f.in.QueuePage(t.Context(), "a", 0, 2)
	if j, _ := envelope.ParseJob(page[0]); j.JID != "old" {
		t.Errorf("the next to run is %s", page[0])
	}
	if j, err := f.in.FindInQueue(t.Context(), "a", "a115"); err != nil || j.JID != "a115" {
		t.Error(err)
	}
	if _, err := f.in.FindInQueue(t.Context(), "a", "nobody"); !errors.Is(err,
		queue.ErrNotFound) {
		t.Error(err)
	}
	if err := f.store.DeleteFromQueue(t.Context(), "a", page[0]); err != nil {
		t.Error(err)
	}
	if err := f.store.DeleteFromQueue(t.Context(), "a", page[0]); !errors.Is(err,
		queue.ErrNotFound) {
		t.Error(err)
	}
	f.at("queue:a=120")
	if err := f.store.ClearQueue(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	f.at("")
	if list, _ := f.in.Queues(t.Context()); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// stat is a figure that Redis keeps of its work.
func (f *fixture) stat(name string) int {
	f.Helper()
	for line := range strings.Lines(f.raw.Info(f.Context(), "stats").Val()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			n, _ := strconv.Atoi(text)
			return n
		}
	}
	f.Fatal("Redis does not say " + name)
	return 0
}

func TestQueueLatency(t *testing.T) {
	ago := time.Now().Add(-time.Hour).Unix()
	long := strings.Repeat(`\"},{`, 1_000_000)
	for name, c := range map[string]struct {
		raw  string
		want float64
	}{
		"short": {fmt.Sprintf(`{"class":"A","args":[],"created_at":5,"enqueued_at":%d.5}`,
			ago), 3600},
		"only created": {fmt.Sprintf(`{"class":"A","args":[],"created_at":%d}`, ago), 3600},
		"Ruby's order, long": {fmt.Sprintf(`{"retry":true,"class":"A","args":["%s"],"jid":"j",`+
			`"created_at":5,"enqueued_at":%d}`, long, ago), 3600},
		"our order, long": {fmt.Sprintf(`{"class":"A","jid":"j","created_at":5,`+
			`"enqueued_at":%d,"args":["%s"]}`, ago, long), 3600},
		"retried, long": {fmt.Sprintf(`{"class":"A","args":["%s"],"enqueued_at":%d,`+
			`"x":{"y":[1,"\\"]} , "error_message":"%s"}`, long, ago,
			strings.Repeat(`\\\"enqueued_at\":1,`, 300)), 3600},
		"long, of look-alikes": {fmt.Sprintf(`{"class":"A","enqueued_at":%d,`+
			`"args":["%s","enqueued_at",{"enqueued_at":1}]}`, ago, long), 3600},
		"long, without a time":       {fmt.Sprintf(`{"class":"A","args":["%s"]}`, long), 0},
		"long, no job":               {long, 0},
		"long, one field has no end": {`{"class":"A","args":["` + long, 0},
		"long, a number that is long": {fmt.Sprintf(`{"class":"A","n":%s,"enqueued_at":%d}`,
			strings.Repeat("1", 50_000), ago), 3600},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.raw.RPush(t.Context(), "queue:a", c.raw)
			f.raw.SAdd(t.Context(), "queues", "a")
			before := f.stat("total_net_output_bytes")
			q, err := f.in.Queue(t.Context(), "a")
			read := f.stat("total_net_output_bytes") - before
			if err != nil || math.Abs(q.Latency-c.want) > 60 || q.Size != 1 {
				t.Errorf("%+v %v, want %v", q, err, c.want)
			}
			if read > 50_000 {
				t.Errorf("%d bytes were read of %d", read, len(c.raw))
			}
			list, err := f.in.Queues(t.Context())
			if err != nil || len(list) != 1 || math.Abs(list[0].Latency-c.want) > 60 {
				t.Errorf("%+v %v", list, err)
			}
		})
	}
}

func TestQueues(t *testing.T) {
	t.Run("are read in a few round trips, one of the wrong type too", func(t *testing.T) {
		f := newFixture(t)
		for i := range 60 {
			f.push(fmt.Sprintf("q%02d", i), i%3)
		}
		f.push("q59", 1)
		f.raw.SAdd(t.Context(), "queues", "q00", "x")
		f.raw.Set(t.Context(), "queue:x", "of another program", 0)
		f.store.Pause(t.Context(), "q01")
		f.raw.ScriptFlush(t.Context())
		before := f.stat("total_reads_processed")
		list, err := f.in.Queues(t.Context())
		trips := f.stat("total_reads_processed") - before
		if err != nil || trips > 10 {
			t.Errorf("%d queues took %d reads, %v", len(list), trips, err)
		}
		for _, q := range list {
			if want := f.raw.LLen(t.Context(), "queue:"+q.Name).Val(); q.Size != want ||
				q.Paused != (q.Name == "q01") {
				t.Errorf("%+v, want %d", q, want)
			}
		}
		if _, err := f.in.Queue(t.Context(), "x"); err == nil {
			t.Error("a queue whose key has the wrong type is described")
		}
	})
}
