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
)

func TestQueue(t *testing.T) {
	f := newFixture(t)
	f.push("a", 120)
	old := `{"class":"Old","jid":"old","args":[],"enqueued_at":` +
		fmt.Sprint(time.Now().Add(-time.Hour).UnixMilli()) + `}`
	f.raw.RPush(t.Context(), "queue:a", old)
	f.store.Pause(t.Context(), "a")
	t.Run("is described with its size, its latency and its pause", func(t *testing.T) {
		q, err := f.in.Queue(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "Size", q.Size, 121)
		same(t, "Paused", q.Paused, true)
		if q.Latency < 3599 || q.Latency > 3610 {
			t.Errorf("latency %v", q.Latency)
		}
	})
	t.Run("has pages that begin with the next job to run", func(t *testing.T) {
		page, err := f.in.QueuePage(t.Context(), "a", 0, 2)
		if err != nil || len(page) != 2 {
			t.Fatal(page, err)
		}
		same(t, "the first job", page[0], old)
	})
	t.Run("is searched beyond its first page", func(t *testing.T) {
		if j, err := f.in.FindInQueue(t.Context(), "a", "a115"); err != nil || j.JID != "a115" {
			t.Error(err)
		}
		_, err := f.in.FindInQueue(t.Context(), "a", "nobody")
		if !errors.Is(err, queue.ErrNotFound) {
			t.Error(err)
		}
	})
	t.Run("loses a job once", func(t *testing.T) {
		if err := f.store.DeleteFromQueue(t.Context(), "a", old); err != nil {
			t.Error(err)
		}
		err := f.store.DeleteFromQueue(t.Context(), "a", old)
		if !errors.Is(err, queue.ErrNotFound) {
			t.Error(err)
		}
		f.sub(t).at("queue:a=120")
	})
	t.Run("is cleared", func(t *testing.T) {
		if err := f.store.ClearQueue(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		f.sub(t).at("")
		if list, err := f.in.Queues(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("%+v %v", list, err)
		}
	})
}

// stat returns a number of INFO stats.
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
		"is read from a short payload": {
			fmt.Sprintf(`{"class":"A","args":[],"created_at":5,"enqueued_at":%d.5}`,
				ago), 3600},
		"is read from a payload without enqueued_at": {
			fmt.Sprintf(`{"class":"A","args":[],"created_at":%d}`, ago), 3600},
		"is read from a long payload in Ruby's order": {
			fmt.Sprintf(`{"retry":true,"class":"A","args":["%s"],"jid":"j",`+
				`"created_at":5,"enqueued_at":%d}`, long, ago), 3600},
		"is read from a long payload with the arguments last": {
			fmt.Sprintf(`{"class":"A","jid":"j","created_at":5,`+
				`"enqueued_at":%d,"args":["%s"]}`, ago, long), 3600},
		"is read from a long payload with an error message": {
			fmt.Sprintf(`{"class":"A","args":["%s"],"enqueued_at":%d,`+
				`"x":{"y":[1,"\\"]} , "error_message":"%s"}`, long, ago,
				strings.Repeat(`\\\"enqueued_at\":1,`, 300)), 3600},
		"is read from a long payload whose arguments look like fields": {
			fmt.Sprintf(`{"class":"A","enqueued_at":%d,`+
				`"args":["%s","enqueued_at",{"enqueued_at":1}]}`, ago, long), 3600},
		"is 0 for a long payload without a time": {
			fmt.Sprintf(`{"class":"A","args":["%s"]}`, long), 0},
		"is 0 for long bytes that are no job":    {long, 0},
		"is 0 for a long payload without an end": {`{"class":"A","args":["` + long, 0},
		"is read from a long payload with a long number": {
			fmt.Sprintf(`{"class":"A","n":%s,"enqueued_at":%d}`,
				strings.Repeat("1", 50_000), ago), 3600},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.raw.RPush(t.Context(), "queue:a", c.raw)
			f.raw.SAdd(t.Context(), "queues", "a")
			before := f.stat("total_net_output_bytes")
			q, err := f.in.Queue(t.Context(), "a")
			read := f.stat("total_net_output_bytes") - before
			if err != nil || math.Abs(q.Latency-c.want) > 60 {
				t.Errorf("%+v %v, want %v", q, err, c.want)
			}
			same(t, "Size", q.Size, 1)
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
	if err != nil {
		t.Fatal(err)
	}
	t.Run("are read in a few round trips", func(t *testing.T) {
		if trips > 10 {
			t.Errorf("%d queues took %d reads", len(list), trips)
		}
	})
	t.Run("have their sizes, one of a wrong type too", func(t *testing.T) {
		for _, q := range list {
			want := f.raw.LLen(t.Context(), "queue:"+q.Name).Val()
			same(t, "the size of "+q.Name, q.Size, want)
			same(t, "the pause of "+q.Name, q.Paused, q.Name == "q01")
		}
	})
	t.Run("include all names", func(t *testing.T) {
		same(t, "the number of queues", len(list), int(f.raw.SCard(t.Context(), "queues").Val()))
	})
	t.Run("are described one by one, but not one of a wrong type", func(t *testing.T) {
		if _, err := f.in.Queue(t.Context(), "x"); err == nil {
			t.Error("no error")
		}
	})
}
