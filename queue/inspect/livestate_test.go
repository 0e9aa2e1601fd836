package inspect_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// live returns the state as JSON.
func (f *fixture) live() (st inspect.LiveState, text string) {
	f.Helper()
	st, err := f.in.LiveState(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	b, err := json.Marshal(st)
	if err != nil {
		f.Fatal(err)
	}
	return st, string(b)
}

func TestLiveState(t *testing.T) {
	f := newFixture(t)
	f.publish()
	f.push("a", 3)
	f.push("b", 2)
	if err := f.store.Pause(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	f.raw.MSet(t.Context(), "stat:processed", 7, "stat:failed", 2)
	st, text := f.live()
	t.Run("has the sums of the fleet", func(t *testing.T) {
		want, err := f.in.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := inspect.Stats{Processed: st.Processed, Failed: st.Failed, Enqueued: st.Enqueued,
			Scheduled: st.Scheduled, Retries: st.Retries, Dead: st.Dead, Busy: st.Busy}
		want.Processes, want.DefaultLatency = 0, 0 // Stats counts dead ones, and has an age
		same(t, "the sums", got, want)
		processes, err := f.in.Processes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		threads := 0
		for _, p := range processes {
			threads += p.Concurrency
		}
		same(t, "Threads", st.Threads, threads)
		same(t, "Processes", st.Processes, int64(len(processes)))
	})
	t.Run("has the queues and processes", func(t *testing.T) {
		if len(st.Queues) != 2 || st.Queues[0] != (inspect.LiveQueue{Name: "a", Size: 3}) ||
			st.Queues[1] != (inspect.LiveQueue{Name: "b", Size: 2, Paused: true}) {
			t.Errorf("%+v", st.Queues)
		}
		same(t, "the processes", len(st.Fleet), int(st.Processes))
		same(t, "threads of the first are known", st.Fleet[0].Threads > 0, true)
	})
	t.Run("is the same later if nothing has changed", func(t *testing.T) {
		if err := f.raw.HSet(t.Context(), "h:1:a", "beat", time.Now().Unix()+60).Err(); err != nil {
			t.Fatal(err)
		}
		f := f.sub(t)
		_, later := f.live()
		same(t, "the state", later, text)
	})
	t.Run("has the sums of a large fleet, and its first rows", func(t *testing.T) {
		f := f.sub(t)
		for i := range inspect.LiveRows {
			f.push(fmt.Sprint("q", i), 1)
		}
		st, _ := f.live()
		same(t, "Enqueued", st.Enqueued, 5+inspect.LiveRows)
		same(t, "rows", len(st.Queues), inspect.LiveRows)
	})
	t.Run("of an empty Redis has empty lists", func(t *testing.T) {
		f.raw.FlushDB(t.Context())
		_, text := f.sub(t).live()
		same(t, "the state", text, `{"processed":0,"failed":0,"enqueued":0,"scheduled":0,`+
			`"retries":0,"dead":0,"processes":0,"busy":0,"threads":0,"queues":[],"fleet":[]}`)
	})
}
