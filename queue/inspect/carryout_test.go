package inspect_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

// halfWay carries out two pages of a sift of 2,000 jobs, and stops. It returns the operation and
// what a caller needs that goes on.
func (f *fixture) halfWay(verb queue.Verb, filter string) (*inspect.Operation, func() error) {
	f.Helper()
	f.raw.FlushDB(f.Context())
	f.long(2000)
	o := f.begin(inspect.Request{Verb: verb, Queue: "a", To: "b"}, filter)
	ticket := &queue.Ticket{ID: o.ID, Token: "stalls"}
	if _, err := f.store.Take(f.Context(), ticket); err != nil {
		f.Fatal(err)
	}
	if err := f.store.Enter(f.Context(), ticket, "a"); err != nil {
		f.Fatal(err)
	}
	goOn := func() error {
		page, err := f.store.NewestJobs(f.Context(), ticket, "a", 400)
		if err != nil {
			f.Fatal(err)
		}
		way := queue.Sift{Queue: "a", Verb: verb, To: "b", Few: 500}
		_, _, _, err = f.store.SiftNewest(f.Context(), ticket, way, page,
			func(i int) (*queue.Job, bool) {
				j, _ := envelope.ParseJob(page[i])
				return j, o.Verb == queue.VerbDelete && j.JID[len(j.JID)-1] == '3'
			})
		return err
	}
	if err := errors.Join(goOn(), goOn()); err != nil {
		f.Fatal(err)
	}
	return o, goOn
}

// silence ends the time of the operation's ticket.
func (f *fixture) silence(o *inspect.Operation) {
	f.raw.HSet(f.Context(), "kyu:op:"+o.ID, "until", 1)
}

// stops checks that an error says why an operation has stopped.
func (f *fixture) stops(err error, state string) {
	f.Helper()
	var stop *queue.OperationError
	if !errors.As(err, &stop) || stop.State != state {
		f.Errorf("%v, want an operation that %s", err, state)
	}
}

func TestCarryOutOldest(t *testing.T) {
	const jobs = 12_000
	f := newFixture(t)
	t.Run("jobs that workers put back hide no others", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.long(jobs)
		o := f.begin(inspect.Request{Verb: queue.VerbDelete, Queue: "a"}, "jid:a*4")
		back := sync.OnceFunc(func() {
			for i := range 600 {
				f.raw.RPush(t.Context(), "queue:a",
					fmt.Sprintf(`{"class":"Job","jid":"w%d","queue":"a","args":[]}`, i))
			}
		})
		err := o.Run(t.Context(), func(inspect.Operation) {
			if f.raw.Exists(t.Context(), "kyu:{queue:a}:sifted").Val() == 0 {
				back() // between the last page that is sifted and the first of the oldest
			}
		})
		if err != nil {
			t.Error(err)
		}
		same(t, "changed", o.Changed, jobs/10)
	})
	t.Run("more jobs than are searched come between two pages", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.long(jobs)
		o := f.begin(inspect.Request{Verb: queue.VerbDelete, Queue: "a", AsOf: time.Now()},
			"jid:a*4")
		arrive := sync.OnceFunc(func() {
			var list []any
			for i := range 6000 {
				list = append(list, fmt.Sprintf(
					`{"class":"Job","jid":"a%d4","queue":"a","args":[],"enqueued_at":2e9}`, jobs+i))
			}
			f.raw.LPush(t.Context(), "queue:a", list...)
		})
		if err := o.Run(t.Context(), func(inspect.Operation) { arrive() }); err != nil {
			t.Error(err)
		}
		same(t, "changed", o.Changed, jobs/10)
		same(t, "left", len(f.list("queue:a")), jobs-jobs/10+6000)
		f.noTraces()
	})
}

func TestCarryOutBesideAnother(t *testing.T) {
	f := newFixture(t)
	t.Run("a queue that is short because an operation sifts it is not done", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.long(12_000)
		first := f.begin(inspect.Request{Verb: queue.VerbKill, Queue: "a"}, "jid:a*4")
		second := f.begin(inspect.Request{Verb: queue.VerbForget, Queue: "a"}, "jid:a11999")
		try := sync.OnceFunc(func() {
			f.raw.RPopCount(t.Context(), "queue:a", 9000)
			f.stops(second.Run(t.Context(), nil), "waits")
		})
		if err := first.Run(t.Context(), func(inspect.Operation) { try() }); err != nil {
			t.Error(err)
		}
		if err := second.Run(t.Context(), nil); err != nil || second.Changed != 1 {
			t.Errorf("%d changed: %v", second.Changed, err)
		}
	})
	t.Run("goes after one whose caller has died", func(t *testing.T) {
		f := f.sub(t)
		first, _ := f.halfWay(queue.VerbDelete, "jid:a*3")
		second := f.begin(inspect.Request{Verb: queue.VerbForget, Queue: "a"}, "jid:a*5")
		f.stops(second.Run(t.Context(), nil), "waits")
		f.silence(first)
		if err := second.Run(t.Context(), nil); err != nil || second.Changed != 200 {
			t.Errorf("%d changed: %v", second.Changed, err)
		}
		inOrder(t, "left", f.list("queue:a"))
		f.noTraces()
	})
}

func TestCarryOutStalled(t *testing.T) {
	f := newFixture(t)
	t.Run("a caller whose jobs workers have put back cannot go on", func(t *testing.T) {
		f := f.sub(t)
		o, goOn := f.halfWay(queue.VerbDelete, "jid:a*3")
		f.silence(o)
		if _, err := f.store.PutBack(t.Context(), map[string]string{"a": o.ID}); err != nil {
			t.Fatal(err)
		}
		f.stops(goOn(), queue.StateInterrupted)
		if err := o.Run(t.Context(), nil); err != nil || o.Changed != 200 {
			t.Errorf("%d changed: %v", o.Changed, err)
		}
	})
	t.Run("an operation that ends without putting back keeps the order", func(t *testing.T) {
		f := f.sub(t)
		o, _ := f.halfWay(queue.VerbDelete, "jid:a*3")
		ticket := &queue.Ticket{ID: o.ID, Token: "stalls"}
		if err := f.store.End(t.Context(), ticket, queue.StateFailed, nil); err != nil {
			t.Fatal(err)
		}
		f.silence(o)
		if _, err := f.store.PutBack(t.Context(), map[string]string{"a": o.ID}); err != nil {
			t.Fatal(err)
		}
		inOrder(t, "left", f.list("queue:a"))
		f.noTraces()
	})
	t.Run("an undo stops a caller that stalls", func(t *testing.T) {
		f := f.sub(t)
		o, goOn := f.halfWay(queue.VerbDelete, "jid:a*3")
		f.silence(o)
		if n, err := f.in.Undo(t.Context(), o.ID); n != 80 || err != nil {
			t.Errorf("%d restored: %v", n, err)
		}
		f.stops(goOn(), queue.StateCancelled)
	})
	t.Run("a move of all jobs first puts back what an earlier caller held", func(t *testing.T) {
		f := f.sub(t)
		o, _ := f.halfWay(queue.VerbMove, "")
		f.silence(o)
		if err := o.Run(t.Context(), nil); err != nil {
			t.Error(err)
		}
		same(t, "moved", len(f.list("queue:b")), 2000)
		inOrder(t, "moved", f.list("queue:b"))
		f.noTraces()
	})
}
