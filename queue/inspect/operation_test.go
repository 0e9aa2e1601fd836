package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// begin begins an operation on the jobs that a filter chooses.
func (f *fixture) begin(r inspect.Request, filter string) *inspect.Operation {
	f.Helper()
	var err error
	if r.Filter, err = inspect.ParseFilter(filter); err != nil {
		f.Fatal(err)
	}
	if r.AsOf.IsZero() {
		r.AsOf = time.Now().Add(time.Second) // the jobs were pushed in this millisecond
	}
	o, err := f.in.Begin(f.Context(), r)
	if err != nil {
		f.Fatal(err)
	}
	return o
}

// operate carries out an operation.
func (f *fixture) operate(r inspect.Request, filter string) *inspect.Operation {
	f.Helper()
	o := f.begin(r, filter)
	if err := o.Run(f.Context(), nil); err != nil {
		f.Fatal(err)
	}
	return o
}

// list is what a list holds, the next job to be taken first.
func (f *fixture) list(key string) (raws []string) {
	f.Helper()
	raws, err := f.raw.LRange(f.Context(), key, 0, -1).Result()
	if err != nil {
		f.Fatal(err)
	}
	slices.Reverse(raws)
	return raws
}

// jids are the JIDs of payloads: "a0 a1".
func jids(raws []string) string {
	var list []string
	for _, raw := range raws {
		j, err := envelope.ParseJob(raw)
		if err != nil {
			list = append(list, "?"+raw)
			continue
		}
		list = append(list, j.JID)
	}
	return strings.Join(list, " ")
}

// numbered are the names with a letter and the numbers from, from+step, … below to.
func numbered(letter string, from, to, step int) string {
	var list []string
	for i := from; i < to; i += step {
		list = append(list, fmt.Sprint(letter, i))
	}
	return strings.Join(list, " ")
}

func TestOperationQueue(t *testing.T) {
	f := newFixture(t)
	t.Run("deletes what the filter chooses, and the others keep their order", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.push("a", 1200)
		o := f.operate(inspect.Request{Verb: queue.VerbDelete, Queue: "a"}, "arg:7")
		left := f.list("queue:a")
		if strings.Contains(jids(left), "a7") || o.Changed+len(left) != 1200 {
			t.Errorf("%d changed, %d left: %s", o.Changed, len(left), jids(left))
		}
		var want []string
		for i := range 1200 {
			if !strings.Contains(fmt.Sprint(i), "7") {
				want = append(want, fmt.Sprint("a", i))
			}
		}
		same(t, "order", jids(left), strings.Join(want, " "))
		same(t, "state", o.State, queue.StateDone)
		same(t, "seen", o.Seen, 1200)
		f.noTraces()
	})
	t.Run("undo puts the same bytes back, before the others", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.push("a", 600)
		before := f.list("queue:a")
		o := f.operate(inspect.Request{Verb: queue.VerbDelete, Queue: "a"}, "arg:9")
		n, err := f.in.Undo(t.Context(), o.ID)
		if err != nil || n != o.Changed {
			t.Fatalf("%d of %d: %v", n, o.Changed, err)
		}
		after := f.list("queue:a")
		var first []string
		for _, raw := range before {
			if j, _ := envelope.ParseJob(raw); strings.Contains(string(j.Args), "9") {
				first = append(first, raw)
			}
		}
		same(t, "first jobs", strings.Join(after[:n], "\n"), strings.Join(first, "\n"))
		slices.Sort(before)
		slices.Sort(after)
		if !slices.Equal(before, after) {
			t.Error("other bytes")
		}
		if _, err := f.in.Undo(t.Context(), o.ID); err == nil ||
			!strings.Contains(err.Error(), "the trash is empty") {
			t.Errorf("a second undo: %v", err)
		}
	})
	t.Run("moves all jobs behind those of another queue, in order", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.push("a", 700)
		f.push("b", 2)
		o := f.operate(inspect.Request{Verb: queue.VerbMove, Queue: "a", To: "b"}, "")
		same(t, "changed", o.Changed, 700)
		f.at("queue:b=702")
		moved := f.list("queue:b")
		same(t, "order", jids(moved), "b0 b1 "+numbered("a", 0, 700, 1))
		j, _ := envelope.ParseJob(moved[5])
		same(t, "the queue of the payload", j.Queue, "b")
		f.noTraces()
	})
	t.Run("moves what a filter chooses, in order", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.push("a", 1100)
		f.push("b", 1)
		f.operate(inspect.Request{Verb: queue.VerbMove, Queue: "a", To: "b"}, "jid:a*0")
		same(t, "order", jids(f.list("queue:b")), "b0 "+numbered("a", 0, 1100, 10))
		same(t, "left", len(f.list("queue:a")), 990)
		f.noTraces()
	})
	t.Run("kills", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.push("a", 20)
		f.operate(inspect.Request{Verb: queue.VerbKill, Queue: "a"}, "jid:a1*")
		f.at("dead=11 queue:a=9")
	})
	t.Run("deletes named jobs, and stops when it has found them", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.push("a", 1500)
		o := f.operate(inspect.Request{Verb: queue.VerbDelete, Queue: "a",
			JIDs: []string{"a1490", "a1400"}}, "")
		same(t, "changed", o.Changed, 2)
		recorded, err := f.in.Operation(t.Context(), o.ID)
		if err != nil || recorded.Seen != o.Seen || recorded.Matched != 2 {
			t.Errorf("the record is %+v, %v", recorded, err)
		}
		if o.Seen > 700 {
			t.Errorf("it has looked at %d jobs", o.Seen)
		}
		left := jids(f.list("queue:a"))
		want := numbered("a", 0, 1400, 1) + " " + numbered("a", 1401, 1490, 1) + " " +
			numbered("a", 1491, 1500, 1)
		same(t, "left", left, want)
		f.noTraces()
	})
	t.Run("leaves jobs that came later", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.push("a", 3)
		f.push("b", 1)
		o := f.operate(inspect.Request{Verb: queue.VerbDelete, Queue: "a",
			AsOf: time.Now().Add(-time.Hour)}, "")
		same(t, "changed", o.Changed, 0)
		o = f.operate(inspect.Request{Verb: queue.VerbMove, Queue: "a", To: "b",
			AsOf: time.Now().Add(-time.Hour)}, "")
		same(t, "moved", o.Changed, 0)
		f.at("queue:a=3 queue:b=1")
	})
	t.Run("a wrong type loses nothing", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.push("a", 30)
		f.raw.Set(t.Context(), "dead", "text", 0)
		o := f.begin(inspect.Request{Verb: queue.VerbKill, Queue: "a"}, "")
		err := o.Run(t.Context(), nil)
		var wrong *queue.WrongTypeError
		if !errors.As(err, &wrong) || !slices.Equal(wrong.Keys, []string{"dead"}) {
			t.Errorf("%v, want the key dead alone", err)
		}
		same(t, "left", len(f.list("queue:a")), 30)
		same(t, "state", o.State, queue.StateFailed)
		f.raw.Set(t.Context(), "queue:b", "text", 0)
		for name, chosen := range map[string]string{"all": "", "some": "jid:a1*"} {
			err := f.begin(inspect.Request{Verb: queue.VerbMove, Queue: "a", To: "b"}, chosen).
				Run(t.Context(), nil)
			if !errors.As(err, &wrong) || !slices.Equal(wrong.Keys, []string{"queue:b"}) {
				t.Errorf("a move of %s: %v, want the key queue:b alone", name, err)
			}
		}
		same(t, "left", len(f.list("queue:a")), 30)
	})
}

// noTraces checks that no job is in the lists of an operation.
func (f *fixture) noTraces() {
	f.Helper()
	keys, err := f.raw.Keys(f.Context(), "kyu:*").Result()
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range keys {
		if strings.Contains(key, "sift") || strings.Contains(key, "staged") {
			f.Errorf("%s is left", key)
		}
	}
}

// Workers take jobs and programs push jobs while an operation goes through the queue. Each job
// ends in one place, and is taken in the order in which it was pushed.
func TestOperationBesideWorkers(t *testing.T) {
	f := newFixture(t)
	const before, meanwhile = 20_000, 2_000
	f.push("a", before)
	ctx, stop := context.WithCancel(t.Context())
	taken := make(chan []string)
	go func() {
		var list []string
		for ctx.Err() == nil {
			raws, _ := f.raw.RPopCount(t.Context(), "queue:a", 3).Result()
			list = append(list, raws...)
		}
		taken <- list
	}()
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		client := queue.NewClient(f.store)
		for i := range meanwhile {
			client.Push(t.Context(), "Job", []any{"new"}, queue.Options{Queue: "a",
				JID: fmt.Sprintf("a%d", before+i)})
		}
	}()
	o := f.operate(inspect.Request{Verb: queue.VerbMove, Queue: "a", To: "b",
		AsOf: time.Now()}, "jid:a*5")
	<-pushed
	stop()
	list := append(<-taken, f.list("queue:a")...)
	moved := f.list("queue:b")
	same(t, "jobs", len(list)+len(moved), before+meanwhile)
	inOrder(t, "taken and left", list)
	inOrder(t, "moved", moved)
	t.Logf("%d moved, seen %d", o.Changed, o.Seen)
	f.noTraces()
}

func inOrder(t *testing.T, name string, raws []string) {
	t.Helper()
	last := -1
	for _, raw := range raws {
		j, err := envelope.ParseJob(raw)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		fmt.Sscanf(j.JID, "a%d", &n)
		if n <= last {
			t.Fatalf("%s: %d comes after %d", name, n, last)
		}
		last = n
	}
}

// entries puts n entries into a set, two of each score.
func (f *fixture) entries(set string, n int) {
	f.Helper()
	for i := range n {
		raw := fmt.Sprintf(`{"class":"Job","jid":"s%d","queue":"q","args":[%[1]d],`+
			`"retry_count":1,"created_at":1700000000.5,"kept":  "as it is"}`, i)
		f.raw.ZAdd(f.Context(), set, redis.Z{Score: float64(1_700_000_000+i/2) + 0.1,
			Member: raw})
	}
}

func TestOperationSet(t *testing.T) {
	f := newFixture(t)
	t.Run("undo gives the same bytes and times back", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.entries("dead", 1300)
		before := fmt.Sprint(f.raw.ZRangeWithScores(t.Context(), "dead", 0, -1).Val())
		o := f.operate(inspect.Request{Verb: queue.VerbDelete, Set: "dead"}, "")
		f.at("")
		same(t, "changed", o.Changed, 1300)
		if n, err := f.in.Undo(t.Context(), o.ID); n != 1300 || err != nil {
			t.Errorf("%d restored: %v", n, err)
		}
		if fmt.Sprint(f.raw.ZRangeWithScores(t.Context(), "dead", 0, -1).Val()) != before {
			t.Error("the set is not what it was")
		}
	})
	t.Run("the trash ends after a day", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.entries("retry", 3)
		o := f.operate(inspect.Request{Verb: queue.VerbDelete, Set: "retry"}, "jid:s1")
		ttl := f.raw.TTL(t.Context(), "kyu:trash:"+o.ID).Val()
		if ttl <= queue.TrashFor-time.Minute || ttl > queue.TrashFor {
			t.Errorf("it ends in %v", ttl)
		}
		p, _, err := f.in.Locate(t.Context(), "s1")
		if err != nil || p.Kind != inspect.InTrash || p.Operation != o.ID {
			t.Errorf("%+v %v", p, err)
		}
	})
	t.Run("moves jobs of one time to another queue, each once", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		for i := range 1200 {
			f.raw.ZAdd(t.Context(), "schedule", redis.Z{Score: 1.9e9, Member: fmt.Sprintf(
				`{"class":"Job","jid":"s%d","queue":"%c","args":[]}`, i, 'a'+i%3)})
		}
		o := f.operate(inspect.Request{Verb: queue.VerbMove, Set: "schedule", To: "b"}, "")
		same(t, "changed", o.Changed, 800)
		for _, e := range f.raw.ZRange(t.Context(), "schedule", 0, -1).Val() {
			if !strings.Contains(e, `"queue":"b"`) {
				t.Fatal(e)
			}
		}
		f.at("schedule=1200")
	})
	t.Run("an interrupted operation goes on, and its counts are those of one", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.entries("retry", 2000)
		o := f.begin(inspect.Request{Verb: queue.VerbRetry, Set: "retry"}, "-arg:77")
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			err := o.Run(ctx, func(inspect.Operation) { cancel() })
			same(t, "interrupted", errors.Is(err, context.Canceled), true)
			o, err = f.in.Operation(t.Context(), o.ID)
			if err != nil || o.State != queue.StateInterrupted {
				t.Fatalf("%+v %v", o, err)
			}
		}
		if err := o.Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		o, _ = f.in.Operation(t.Context(), o.ID)
		same(t, "seen", o.Seen, 2000)
		same(t, "matched", o.Matched, o.Changed)
		same(t, "state", o.State, queue.StateDone)
		f.at(fmt.Sprintf("queue:q=%d retry=%d", o.Changed, 2000-o.Changed))
	})
	t.Run("a cancelled operation stops, and says so", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.entries("retry", 2000)
		o := f.begin(inspect.Request{Verb: queue.VerbKill, Set: "retry"}, "")
		cancel := sync.OnceFunc(func() {
			if err := o.Cancel(t.Context()); err != nil {
				t.Error(err)
			}
		})
		err := o.Run(t.Context(), func(inspect.Operation) { cancel() })
		var stopped *queue.OperationError
		if !errors.As(err, &stopped) || stopped.State != queue.StateCancelled ||
			o.Changed == 0 || o.Changed == 2000 {
			t.Errorf("%v after %d", err, o.Changed)
		}
		f.at(fmt.Sprintf("dead=%d retry=%d", o.Changed, 2000-o.Changed))
	})
	t.Run("two processes do not carry out one operation", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.entries("retry", 2000)
		o := f.begin(inspect.Request{Verb: queue.VerbDelete, Set: "retry"}, "")
		other, _ := f.in.Operation(t.Context(), o.ID)
		tried := false
		err := o.Run(t.Context(), func(inspect.Operation) {
			if tried {
				return
			}
			tried = true
			var taken *queue.OperationError
			if err := other.Run(t.Context(), nil); !errors.As(err, &taken) {
				t.Errorf("the other: %v", err)
			}
		})
		if err != nil || o.Changed != 2000 || !tried {
			t.Errorf("%v after %d", err, o.Changed)
		}
	})
	t.Run("jobs that fail again meanwhile are not chosen again", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.entries("retry", 1200)
		o := f.begin(inspect.Request{Verb: queue.VerbRetry, Set: "retry", AsOf: time.Now()}, "")
		more := 0
		err := o.Run(t.Context(), func(inspect.Operation) {
			more++
			f.raw.ZAdd(t.Context(), "retry", redis.Z{Score: 2e9, Member: fmt.Sprintf(
				`{"class":"Job","jid":"n%d","queue":"q","args":[],"failed_at":%d.9}`, more,
				time.Now().Unix()+2)})
		})
		if err != nil || o.Changed != 1200 {
			t.Errorf("%v after %d", err, o.Changed)
		}
		f.at(fmt.Sprintf("queue:q=1200 retry=%d", more))
	})
}

// A sift whose caller has died: workers put its jobs back, in order, with what has come meanwhile.
func TestOperationPutBack(t *testing.T) {
	f := newFixture(t)
	for name, verb := range map[string]queue.Verb{"of a deletion": queue.VerbDelete,
		"of a move": queue.VerbMove} {
		t.Run(name, func(t *testing.T) {
			f := f.sub(t)
			f.raw.FlushDB(t.Context())
			f.push("a", 2000)
			o := f.begin(inspect.Request{Verb: verb, Queue: "a", To: "b"}, "jid:a*3")
			ticket := &queue.Ticket{ID: o.ID, Token: "died"}
			sift := queue.Sift{Queue: "a", Verb: verb, To: "b", Few: 500}
			if _, err := f.store.Take(t.Context(), ticket); err != nil {
				t.Fatal(err)
			}
			if err := f.store.Enter(t.Context(), ticket, "a"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				page, err := f.store.NewestJobs(t.Context(), ticket, "a", 400)
				if err != nil {
					t.Fatal(err)
				}
				_, _, _, err = f.store.SiftNewest(t.Context(), ticket, sift, page,
					func(i int) (*queue.Job, bool) {
						j, _ := envelope.ParseJob(page[i])
						return j, strings.HasSuffix(j.JID, "3")
					})
				if err != nil {
					t.Fatal(err)
				}
			}
			p, _, err := f.in.Locate(t.Context(), "a1999")
			if err != nil || p.Kind != inspect.InOperation || p.Operation != o.ID {
				t.Errorf("%+v %v", p, err)
			}
			client := queue.NewClient(f.store)
			for i := range 5 {
				client.Push(t.Context(), "Job", []any{}, queue.Options{Queue: "a",
					JID: fmt.Sprint("a", 2000+i)})
			}
			sifts := map[string]string{"a": o.ID}
			if ids, err := f.store.PutBack(t.Context(), sifts); len(ids) > 0 || err != nil {
				t.Errorf("while its caller lives: %v %v", ids, err)
			}
			f.raw.HSet(t.Context(), "kyu:op:"+o.ID, "until", 1)
			if ids, err := f.store.PutBack(t.Context(), sifts); len(ids) != 1 || err != nil {
				t.Errorf("%v %v", ids, err)
			}
			inOrder(t, "queue", f.list("queue:a"))
			inOrder(t, "moved", f.list("queue:b"))
			same(t, "jobs", len(f.list("queue:a")), 2005-80)
			f.noTraces()
			o, _ = f.in.Operation(t.Context(), o.ID)
			if err := o.Run(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			inOrder(t, "queue", f.list("queue:a"))
			same(t, "changed", o.Changed, 201) // with a2003
			f.noTraces()
		})
	}
}

// long pushes n small jobs to the queue a at once: a0, a1, ….
func (f *fixture) long(n int) {
	f.Helper()
	for i := 0; i < n; i += 1000 {
		var page []any
		for k := i; k < min(n, i+1000); k++ {
			page = append(page, fmt.Sprintf(`{"class":"Job","jid":"a%d","queue":"a","args":[%d],`+
				`"enqueued_at":1700000000.5}`, k, k))
		}
		if err := f.raw.LPush(f.Context(), "queue:a", page...).Err(); err != nil {
			f.Fatal(err)
		}
	}
	f.raw.SAdd(f.Context(), "queues", "a")
}

func TestOperationLongQueue(t *testing.T) {
	const jobs = 12_000
	f := newFixture(t)
	t.Run("a deletion and its undo keep the order", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.long(jobs)
		o := f.operate(inspect.Request{Verb: queue.VerbDelete, Queue: "a"}, "jid:a*4")
		same(t, "seen", o.Seen, jobs)
		same(t, "changed", o.Changed, jobs/10)
		left := f.list("queue:a")
		same(t, "left", len(left), jobs-jobs/10)
		inOrder(t, "left", left)
		f.noTraces()
		if _, err := f.in.Undo(t.Context(), o.ID); err != nil {
			t.Fatal(err)
		}
		all := f.list("queue:a")
		inOrder(t, "restored", all[:jobs/10])
		inOrder(t, "behind them", all[jobs/10:])
	})
	t.Run("a move keeps the order", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.long(jobs)
		o := f.operate(inspect.Request{Verb: queue.VerbMove, Queue: "a", To: "b"}, "jid:a*4")
		same(t, "changed", o.Changed, jobs/10)
		inOrder(t, "left", f.list("queue:a"))
		inOrder(t, "moved", f.list("queue:b"))
		same(t, "moved", len(f.list("queue:b")), jobs/10)
		f.noTraces()
	})
	t.Run("a second operation on the queue waits for the first", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.long(jobs)
		first := f.begin(inspect.Request{Verb: queue.VerbKill, Queue: "a"}, "jid:a*4")
		second := f.begin(inspect.Request{Verb: queue.VerbForget, Queue: "a"}, "jid:a*5")
		try := sync.OnceFunc(func() {
			err := second.Run(t.Context(), nil)
			var busy *queue.OperationError
			if !errors.As(err, &busy) || !strings.Contains(err.Error(), first.ID) {
				t.Errorf("%v", err)
			}
		})
		if err := first.Run(t.Context(), func(inspect.Operation) { try() }); err != nil {
			t.Fatal(err)
		}
		if err := second.Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		inOrder(t, "left", f.list("queue:a"))
		same(t, "left", len(f.list("queue:a")), jobs-2*jobs/10)
	})
	t.Run("an operation that is cancelled leaves the queue whole and in order", func(t *testing.T) {
		f := f.sub(t)
		f.raw.FlushDB(t.Context())
		f.long(jobs)
		o := f.begin(inspect.Request{Verb: queue.VerbMove, Queue: "a", To: "b"}, "jid:a*4")
		cancel := sync.OnceFunc(func() { o.Cancel(t.Context()) })
		err := o.Run(t.Context(), func(inspect.Operation) { cancel() })
		var stopped *queue.OperationError
		same(t, "cancelled", errors.As(err, &stopped), true)
		left, moved := f.list("queue:a"), f.list("queue:b")
		same(t, "jobs", len(left)+len(moved), jobs)
		same(t, "changed", o.Changed, len(moved))
		inOrder(t, "left", left)
		inOrder(t, "moved", moved)
		f.noTraces()
	})
}

// held puts jobs into the lists of an operation from the queue a to the queue b, whose caller is
// dead.
func (f *fixture) held() map[string]string {
	f.Helper()
	ctx := f.Context()
	f.raw.FlushDB(ctx)
	f.raw.HSet(ctx, "kyu:sifts", "a", "op")
	f.raw.HSet(ctx, "kyu:op:op", "state", "running", "token", "t", "until", 1, "to", "b",
		"edge", "older")
	f.raw.RPush(ctx, "kyu:{queue:a}:sifted", "s2", "s1")
	f.raw.LPush(ctx, "queue:a", "older")
	f.raw.RPush(ctx, "kyu:{queue:a}:staged", "c2", "c1")
	return map[string]string{"a": "op"}
}

func TestUnsift(t *testing.T) {
	f := newFixture(t)
	t.Run("names both queues in the set of queues", func(t *testing.T) {
		f := f.sub(t)
		if _, err := f.store.PutBack(t.Context(), f.held()); err != nil {
			t.Fatal(err)
		}
		queues := f.raw.SMembers(t.Context(), "queues").Val()
		slices.Sort(queues)
		same(t, "queues", fmt.Sprint(queues), "[a b]")
		same(t, "moved", fmt.Sprint(f.list("queue:b")), "[c1 c2]")
		f.noTraces()
	})
	t.Run("puts back what it can when the other queue has a wrong type", func(t *testing.T) {
		f := f.sub(t)
		sifts := f.held()
		f.raw.Set(t.Context(), "queue:b", "text", 0)
		_, err := f.store.PutBack(t.Context(), sifts)
		var wrong *queue.WrongTypeError
		if !errors.As(err, &wrong) || !slices.Equal(wrong.Keys, []string{"queue:b"}) {
			t.Errorf("%v, want the key queue:b alone", err)
		}
		same(t, "jobs that stay", fmt.Sprint(f.list("queue:a")), "[older s1 s2]")
		f.raw.Del(t.Context(), "queue:b")
		if _, err := f.store.PutBack(t.Context(), sifts); err != nil {
			t.Error(err)
		}
		same(t, "moved", fmt.Sprint(f.list("queue:b")), "[c1 c2]")
		f.noTraces()
	})
}
