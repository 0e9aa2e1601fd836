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

func record(threads int, payload string) queue.ProcessRecord {
	r := queue.ProcessRecord{Identity: "h:1:a", StartedAt: time.Now()}
	for i := range threads {
		r.Work = append(r.Work, queue.WorkRecord{TID: fmt.Sprint(i), Queue: "a", Payload: payload,
			RunAt: time.Now()})
	}
	return r
}

func TestPublish(t *testing.T) {
	small := `{"class":"A","jid":"j","args":[1]}`
	t.Run("shows any number of busy threads", func(t *testing.T) {
		f := newFixture(t)
		for _, n := range []int{1, 3990, 4000, 10_000} {
			if _, err := f.owner.Publish(t.Context(), record(n, small),
				queue.Counts{Flush: 1, Processed: 7}, time.Now()); err != nil {
				t.Errorf("%d threads: %v", n, err)
			}
			for _, key := range []string{"h:1:a:work", "h:1:a:workers"} {
				if got := f.raw.HLen(t.Context(), key).Val(); got != int64(n) {
					t.Errorf("%s shows %d of %d threads", key, got, n)
				}
			}
		}
	})
	t.Run("shows a large payload in brief, and bounds all together", func(t *testing.T) {
		f := newFixture(t)
		wrapped := `{"retry":true,"queue":"a","class":"Sidekiq::ActiveJob::Wrapper",` +
			`"wrapped":"Mail","args":["` + strings.Repeat("x", 70_000) +
			`"],"jid":"big","created_at":1795345820.5,"enqueued_at":1795345821974,` +
			`"at":"},\"jid\":\"no\""}`
		r := record(40, `{"class":"A","jid":"j","args":["`+strings.Repeat("y", 50_000)+`"]}`)
		r.Work[0].Payload = wrapped
		if _, err := f.owner.Publish(t.Context(), r, queue.Counts{Flush: 1},
			time.Now()); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, text := range f.raw.HVals(t.Context(), "h:1:a:work").Val() {
			total += len(text)
		}
		if total > 1_200_000 || total < 1_000_000 {
			t.Errorf("%d bytes of payloads are published", total)
		}
		var row struct{ Payload string }
		json.Unmarshal([]byte(f.raw.HGet(t.Context(), "h:1:a:workers", "0").Val()), &row)
		want := `{"class":"Mail","jid":"big","queue":"a","created_at":1795345820.5,` +
			`"enqueued_at":1795345821974,` +
			fmt.Sprintf(`"args":["(%d bytes, not shown)"]}`, len(wrapped))
		if row.Payload != want {
			t.Errorf("shown: %.300s\nwant:  %s", row.Payload, want)
		}
	})
	t.Run("shows a payload that is not text in brief", func(t *testing.T) {
		f := newFixture(t)
		if _, err := f.owner.Publish(t.Context(), record(1, `{"class":"A","args":["`+"\xff"+`"]}`),
			queue.Counts{Flush: 1}, time.Now()); err != nil {
			t.Fatal(err)
		}
		work, err := inspect.New(f.store).WorkInProgress(t.Context())
		if err != nil || len(work) != 1 || work[0].Job == nil || work[0].Job.Class != "A" {
			t.Errorf("%+v %v", work, err)
		}
	})
	day := time.Now().UTC().Format(time.DateOnly)
	for _, key := range []string{"stat:processed", "stat:failed", "stat:processed:" + day,
		"stat:failed:" + day, "processes", "h:1:a", "kyu:owner:h:1:a"} {
		t.Run("does the rest when the type is wrong of "+strings.TrimSuffix(key, day),
			func(t *testing.T) {
				f := newFixture(t)
				f.raw.Del(t.Context(), key)
				f.raw.SAdd(t.Context(), key, "of another program")
				if key == "processes" {
					f.raw.Del(t.Context(), key)
					f.raw.Set(t.Context(), key, "of another program", 0)
				}
				want := map[string]string{"stat:processed": "5", "stat:failed": "2",
					"stat:processed:" + day: "5", "stat:failed:" + day: "2"}
				delete(want, key)
				repeat := 2
				if key == "kyu:owner:h:1:a" {
					repeat = 1 // it holds the number of the flush
				}
				for range repeat {
					if _, err := f.owner.Publish(t.Context(), record(1, small),
						queue.Counts{Flush: 1, Processed: 5, Failed: 2}, time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				for stat, n := range want {
					if got := f.raw.Get(t.Context(), stat).Val(); got != n {
						t.Errorf("%s is %q, want %s", stat, got, n)
					}
				}
				if key != "processes" && f.raw.SCard(t.Context(), "processes").Val() != 1 ||
					f.raw.HLen(t.Context(), "h:1:a:work").Val() != 1 {
					t.Error("the process is not on the page")
				}
				if key == "processes" {
					if err := f.owner.Retire(t.Context()); err != nil ||
						f.raw.Exists(t.Context(), "h:1:a").Val() != 0 {
						t.Errorf("retire: %v", err)
					}
				}
			})
	}
}

func TestMetricsKeys(t *testing.T) {
	t.Run("of the wrong type do not make the others count twice", func(t *testing.T) {
		f := newFixture(t)
		at := time.Date(2026, 11, 22, 11, 8, 30, 0, time.UTC)
		f.raw.Set(t.Context(), "j|261122|11:08", "of another program", 0)
		m := &queue.ClassMetrics{}
		m.Add(time.Second, false)
		if err := f.store.FlushMetrics(t.Context(), map[string]*queue.ClassMetrics{"A": m},
			at); err != nil {
			t.Errorf("%v: so the worker adds all of it again", err)
		}
		if got := f.raw.HGet(t.Context(), "j|261122|11:0", "A|p").Val(); got != "1" {
			t.Errorf("counted %q times", got)
		}
	})
}
