package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// ran is a run with a JID.
func ran(jid string) *run {
	return &run{entry: &protocol.Entry{Delivery: queue.Delivery{Queue: "a"}}, class: "Job",
		job: &queue.Job{JID: jid}, start: time.Now()}
}

func TestRecent(t *testing.T) { // not parallel: it counts allocations
	s := newSlot("default0")
	t.Run("keeps the last 1,000 runs", func(t *testing.T) {
		l := &recent{}
		for i := range 2500 {
			l.add(s, ran(fmt.Sprint(i)), OutcomeDone, time.Second)
		}
		var jids []string
		for _, r := range l.list() {
			jids = append(jids, r.JID)
		}
		slices.Sort(jids)
		if len(jids) != recentKept || jids[0] != "1500" || jids[999] != "2499" {
			t.Errorf("%d runs, from %s to %s", len(jids), jids[0], jids[len(jids)-1])
		}
	})
	t.Run("keeps what people ask for", func(t *testing.T) {
		l, r := &recent{}, ran("0123456789abcdef01234567")
		l.add(s, r, OutcomeRetry, 3*time.Second)
		want := queue.RunRecord{TID: "default0", Queue: "a", Class: "Job", JID: r.job.JID,
			Started: time.UnixMicro(r.start.UnixMicro()), Took: 3 * time.Second, Outcome: "retry"}
		if list := l.list(); len(list) != 1 || list[0] != want {
			t.Errorf("%+v, want %+v", list, want)
		}
	})
	t.Run("leaves out a JID that is too long, also in a place that had one", func(t *testing.T) {
		l := &recent{}
		for range recentKept {
			l.add(s, ran("short"), OutcomeDone, 0)
		}
		l.add(s, ran(strings.Repeat("x", maxRecentJID+1)), OutcomeDone, 0)
		if n := len(slices.DeleteFunc(l.list(),
			func(r queue.RunRecord) bool { return r.JID != "" })); n != 1 {
			t.Errorf("%d runs without a JID, want 1", n)
		}
	})
	t.Run("allocates nothing for a run, and keeps no payload", func(t *testing.T) {
		l, r := &recent{}, ran("0123456789abcdef01234567")
		n := testing.AllocsPerRun(100, func() { l.add(s, r, OutcomeDone, time.Second) })
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
		if unsafe.StringData(l.list()[0].JID) == unsafe.StringData(r.job.JID) {
			t.Error("the JID is a part of the payload")
		}
	})
	t.Run("takes runs of many threads while it is read", func(t *testing.T) {
		l := &recent{}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 1000 {
					l.add(s, ran(fmt.Sprint(i)), OutcomeDone, 0)
				}
			})
		}
		for range 10 {
			l.list()
		}
		all.Wait()
		if n := len(l.list()); n != recentKept {
			t.Errorf("%d runs", n)
		}
	})
}

func TestPublishRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ends, began := b.gate(), make(chan struct{})
	b.handle("Good", func(context.Context) error { return nil })
	b.handle("Bad", func(context.Context) error { return errors.New("no") })
	b.handle("Long", func(context.Context) error { close(began); ends.pass(); return nil })
	p := b.start()
	good, bad := b.push("Good", nil, queue.Options{}), b.push("Bad", nil, queue.Options{})
	b.until("both ran", b.idle)
	long := b.push("Long", nil, queue.Options{})
	<-began
	id := p.Status().Identity
	if n := b.raw.Exists(t.Context(), "kyu:runs:"+id).Val(); n != 0 {
		t.Error("the process tells its runs, and nobody has asked")
	}
	list, err := inspect.New(b.store).Runs(t.Context(), time.Minute, id)
	if err != nil || len(list) != 1 || list[0].State != inspect.Told {
		t.Fatalf("%+v %v", list, err)
	}
	outcomes := map[string]string{}
	for _, r := range list[0].Runs {
		outcomes[r.JID] = r.Class + " " + r.Outcome
	}
	for jid, want := range map[string]string{good: "Good done", bad: "Bad retry",
		long: "Long running"} {
		if outcomes[jid] != want {
			t.Errorf("%s: %q, want %q", jid, outcomes[jid], want)
		}
	}
	if len(list[0].Threads) != 5 || list[0].Runs[0].JID != long {
		t.Errorf("%+v", list[0])
	}
}

// idle reports whether no job waits or is in flight in the queue a.
func (b *bench) idle() bool { return b.waiting("a") == 0 && b.inFlight() == 0 }

// BenchmarkRecent measures what the ring costs a job, its bytes, and what a question costs.
func BenchmarkRecent(b *testing.B) {
	b.Run("one thread", func(b *testing.B) {
		l, s, r := &recent{}, newSlot("default0"), ran("0123456789abcdef01234567")
		b.ReportAllocs()
		for b.Loop() {
			l.add(s, r, OutcomeDone, time.Second)
		}
		b.ReportMetric(float64(unsafe.Sizeof(*l)), "bytes")
	})
	b.Run("all cores", func(b *testing.B) {
		l := &recent{}
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			s, r := newSlot("default0"), ran("0123456789abcdef01234567")
			for pb.Next() {
				l.add(s, r, OutcomeDone, time.Second)
			}
		})
	})
	b.Run("list", func(b *testing.B) {
		l, s, r := &recent{}, newSlot("default0"), ran("0123456789abcdef01234567")
		for range recentKept {
			l.add(s, r, OutcomeDone, time.Second)
		}
		for b.Loop() {
			l.list()
		}
	})
}
