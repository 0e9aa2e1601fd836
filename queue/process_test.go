package queue_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

const smallJob = `{"class":"A","jid":"j","args":[1]}`

// record returns the record of h:1:a with running threads.
func record(threads int, payload string) queue.ProcessRecord {
	r := queue.ProcessRecord{Identity: "h:1:a", StartedAt: time.Now()}
	for i := range threads {
		r.Work = append(r.Work, queue.WorkRecord{TID: fmt.Sprint(i), Queue: "a", Payload: payload,
			RunAt: time.Now()})
	}
	return r
}

func (f *fixture) publish(r queue.ProcessRecord, c queue.Counts) {
	f.Helper()
	if _, err := f.owner.Publish(f.Context(), r, c, time.Now()); err != nil {
		f.Fatal(err)
	}
}

func TestPublish(t *testing.T) {
	t.Run("counts a repeated flush once", func(t *testing.T) {
		f := newFixture(t)
		for range 2 {
			f.publish(record(0, ""), queue.Counts{Flush: 1, Processed: 5, Failed: 2})
		}
		st, err := inspect.New(f.store).Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "Processed", st.Processed, 5)
		same(t, "Failed", st.Failed, 2)
	})
	for _, n := range []int{1, 3990, 4000, 10_000} {
		t.Run(fmt.Sprint("shows all threads of ", n), func(t *testing.T) {
			f := newFixture(t)
			f.publish(record(n, smallJob), queue.Counts{Flush: 1, Processed: 7})
			for _, key := range []string{"h:1:a:work", "h:1:a:workers"} {
				same(t, "the number in "+key, f.raw.HLen(t.Context(), key).Val(), int64(n))
			}
		})
	}
	t.Run("shows a payload that Ruby cannot parse in brief", func(t *testing.T) {
		for _, note := range []string{`"cut \ud83d"`, `1,"note":2`,
			strings.Repeat("[", 101) + strings.Repeat("]", 101)} {
			f := newFixture(t)
			f.publish(record(1, `{"class":"A","jid":"j","args":[],"note":`+note+`}`),
				queue.Counts{Flush: 1})
			text := f.raw.HGet(t.Context(), "h:1:a:workers", "0").Val()
			if strings.Contains(text, "note") || !strings.Contains(text, `\"jid\":\"j\"`) {
				t.Errorf("published: %s", text)
			}
		}
	})
	t.Run("shows a payload that is no UTF-8 in brief", func(t *testing.T) {
		f := newFixture(t)
		f.publish(record(1, `{"class":"A","args":["`+"\xff"+`"]}`), queue.Counts{Flush: 1})
		work, err := inspect.New(f.store).WorkInProgress(t.Context())
		if err != nil || len(work) != 1 || work[0].Job == nil {
			t.Fatalf("%+v %v", work, err)
		}
		same(t, "the class", work[0].Job.Class, "A")
	})
}

func TestPublishLargePayloads(t *testing.T) {
	f := newFixture(t)
	r := record(40, `{"class":"A","jid":"j","args":["`+strings.Repeat("y", 50_000)+`"]}`)
	wrapped := `{"retry":true,"queue":"a","class":"Sidekiq::ActiveJob::Wrapper",` +
		`"wrapped":"Mail","args":["` + strings.Repeat("x", 70_000) +
		`"],"lock_digest":"uniquejobs:1","jid":"big","created_at":1795345820.5,` +
		`"enqueued_at":1795345821974,` +
		`"at":"},\"jid\":\"no\""}`
	r.Work[0].Payload = wrapped
	f.publish(r, queue.Counts{Flush: 1})
	t.Run("shows at most 1 MiB of payloads", func(t *testing.T) {
		total := 0
		for _, text := range f.raw.HVals(t.Context(), "h:1:a:work").Val() {
			total += len(text)
		}
		if total > 1_200_000 || total < 1_000_000 {
			t.Errorf("%d bytes of payloads are published", total)
		}
	})
	t.Run("shows a payload over 64 KiB in brief", func(t *testing.T) {
		var row struct{ Payload string }
		text := f.raw.HGet(t.Context(), "h:1:a:workers", "0").Val()
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			t.Fatal(err)
		}
		want := `{"class":"Mail","jid":"big","queue":"a","created_at":1795345820.5,` +
			`"enqueued_at":1795345821974,"lock_digest":"uniquejobs:1",` +
			fmt.Sprintf(`"args":["(%d bytes, not shown)"]}`, len(wrapped))
		same(t, "the payload", row.Payload, want)
	})
}

func TestPublishWithWrongType(t *testing.T) {
	day := time.Now().UTC().Format(time.DateOnly)
	for _, key := range []string{"stat:processed", "stat:failed", "stat:processed:" + day,
		"stat:failed:" + day, "processes", "h:1:a", "kyu:owner:h:1:a",
		"kyu:stat:expired"} {
		name := "writes the other keys than " + strings.Replace(key, day, "DAY", 1)
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.raw.Del(t.Context(), key)
			f.raw.SAdd(t.Context(), key, "of another program")
			if key == "processes" {
				f.spoil(key)
			}
			counts := queue.Counts{Flush: 1, Processed: 5, Failed: 2, Expired: 3}
			f.publish(record(1, smallJob), counts)
			if key != "kyu:owner:h:1:a" { // it has the number of the flush
				f.publish(record(1, smallJob), counts)
			}
			for stat, want := range map[string]string{"stat:processed": "5", "stat:failed": "2",
				"stat:processed:" + day: "5", "stat:failed:" + day: "2",
				"kyu:stat:expired": "3", "kyu:stat:expired:" + day: "3"} {
				if stat != key {
					same(t, stat, f.raw.Get(t.Context(), stat).Val(), want)
				}
			}
			same(t, "the number of jobs shown", f.raw.HLen(t.Context(), "h:1:a:work").Val(), 1)
			if key != "processes" {
				n := f.raw.SCard(t.Context(), "processes").Val()
				same(t, "the number of processes", n, 1)
			}
		})
	}
}

func TestRetire(t *testing.T) {
	t.Run("removes the record although the set of processes has a wrong type",
		func(t *testing.T) {
			f := newFixture(t)
			f.publish(record(1, smallJob), queue.Counts{Flush: 1})
			f.spoil("processes")
			if err := f.owner.Retire(t.Context()); err != nil {
				t.Error(err)
			}
			n := f.raw.Exists(t.Context(), "h:1:a", "h:1:a:work", "h:1:a:workers").Val()
			same(t, "the number of keys", n, 0)
		})
}
