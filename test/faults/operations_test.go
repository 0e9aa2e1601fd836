package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// TestOperations kills bulk operations in the middle. Each is resumed, changes each job once, and a
// deletion that is undone gives the same bytes back. Operations on queues have workers beside them:
// each job runs once.
func TestOperations(t *testing.T) {
	t.Parallel()
	row := scores(t, 47)
	t.Run("on a set", func(t *testing.T) {
		b := newBulkRun(t)
		kills := bySize(6, 100)
		for range kills {
			b.set(20_000)
		}
		row("%d of %d deletions of a set killed in the middle, resumed and undone: other bytes 0, "+
			"jobs changed twice 0", b.midway, kills)
	})
	t.Run("on queues beside workers", func(t *testing.T) {
		b := newBulkRun(t)
		jobs, kills := bySize(20_000, 60_000), bySize(8, 100)
		midway := b.queues(jobs, kills)
		row("%d of %d operations on queues with %d jobs killed in the middle, beside workers: "+
			"lost 0, run twice 0", midway, kills, jobs)
	})
}

// bulkRun runs bulk operations that are killed.
type bulkRun struct {
	*harness.Site
	in     *inspect.Inspector
	midway int           // operations that were killed when they had changed some jobs, and not all
	takes  time.Duration // about how long an operation takes
}

func newBulkRun(t *testing.T) *bulkRun {
	s := harness.New(t)
	return &bulkRun{Site: s, in: inspect.New(s.Server.Store()),
		takes: 50 * time.Millisecond}
}

// killed starts workerctl and kills it at a random moment of its operation. It returns the
// operation.
func (b *bulkRun) killed(args ...string) *inspect.Operation {
	b.Helper()
	before := b.last()
	p := b.Start(filepath.Join(harness.Bin, "workerctl"), append(args, "--yes")...)
	var o *inspect.Operation
	b.Until(time.Minute, "an operation begins", func() bool {
		o = b.last()
		return o != nil && (before == nil || o.ID != before.ID)
	})
	select {
	case <-p.Done:
	case <-time.After(rand.N(b.takes)):
		p.Kill()
		<-p.Done
	}
	o, err := b.in.Operation(b.Context(), o.ID)
	b.Must(err)
	switch done := o.State == queue.StateDone; {
	case done && o.Changed > 0: // too late
		b.takes -= b.takes / 5
	case !done && o.Changed == 0: // too early
		b.takes += b.takes / 4
	case !done:
		b.midway++
	}
	return o
}

// last is the last operation.
func (b *bulkRun) last() *inspect.Operation {
	b.Helper()
	list, err := b.in.Operations(b.Context(), 1)
	b.Must(err)
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// resume goes on with an operation that was killed, and returns it when it is done. Its time is
// over at once, where a person would wait for some seconds.
func (b *bulkRun) resume(o *inspect.Operation) *inspect.Operation {
	b.Helper()
	if o.State == queue.StateDone {
		return o
	}
	b.Must(b.Raw.HSet(b.Context(), "kyu:op:"+o.ID, "until", 1).Err())
	b.OK("", "operations", "resume", o.ID)
	o, err := b.in.Operation(b.Context(), o.ID)
	b.Must(err)
	b.Equal("state of "+o.ID+" "+o.Error, o.State, queue.StateDone)
	return o
}

// set deletes a part of a set, is killed, resumes, and undoes the deletion.
func (b *bulkRun) set(jobs int) {
	b.Helper()
	ctx := b.Context()
	b.Raw.Del(ctx, "retry")
	members, chosen := make([]redis.Z, jobs), 0
	for i := range members {
		host := "a"
		if rand.IntN(3) > 0 {
			host, chosen = "b", chosen+1
		}
		members[i] = redis.Z{Score: 1.7e9 + float64(i/3)/7, Member: fmt.Sprintf(
			`{"class":"Deliver","jid":"j%d","args":["https://%s.example/"], "queue":"push",`+
				`"big":12345678901234567890}`, i, host)}
	}
	b.Must(b.Raw.ZAdd(ctx, "retry", members...).Err())
	all := func() string { return fmt.Sprint(b.Raw.ZRangeWithScores(ctx, "retry", 0, -1).Val()) }
	before := all()
	o := b.killed("retries", "delete", "--filter", "host:b.example")
	b.Equal("jobs left and deleted", b.Card("retry")+b.Card("kyu:trash:"+o.ID), int64(jobs))
	o = b.resume(o)
	b.Equal("changed", o.Changed, chosen)
	b.Equal("matched", o.Matched, chosen)
	b.Equal("seen", o.Seen, jobs)
	b.OK(fmt.Sprintf("restored %d jobs", chosen), "undo", o.ID)
	b.Equal("the set is what it was", all() == before, true)
}

// queues moves, deletes and kills jobs of queues that workers drain. It returns how many operations
// were killed in the middle.
func (b *bulkRun) queues(jobs, kills int) int {
	b.Helper()
	client := queue.NewClient(b.Server.Store())
	for i := range jobs {
		_, err := client.Push(b.Context(), "Test::Ledger", []any{b.LedgerPath(),
			fmt.Sprintf("%06d", i), 4}, queue.Options{Queue: "default",
			JID: fmt.Sprintf("j%06d", i)})
		b.Must(err)
	}
	// Two threads take 500 jobs a second while the operations go on.
	w := untilServing(b.Site, b.Worker("-c", "2", "-q", "default", "-q", "low"))
	for range kills {
		digit := rand.IntN(10)
		verbs := [][]string{
			{"queue", "default", "move", "--to", "low", "--force"},
			{"queue", "low", "move", "--to", "default", "--force"},
			{"queue", "default", "delete"}, {"queue", "default", "kill"}}
		args := append(verbs[rand.IntN(len(verbs))], "--filter", fmt.Sprintf("jid:j*%d", digit))
		o := b.killed(args...)
		b.conserved(jobs)
		o = b.resume(o)
		if o.Verb == queue.VerbDelete && o.Changed > 0 {
			b.OK("restored", "undo", o.ID)
		}
		if o.Verb == queue.VerbKill { // the dead set keeps 10,000 jobs
			b.OK("", "dead", "retry", "--all", "--yes")
		}
		b.conserved(jobs)
	}
	rest := untilServing(b.Site, b.Worker("-c", "100", "-q", "default", "-q", "low"))
	b.Settled(3 * time.Minute)
	b.Equal("exit code", w.Stop(), 0)
	b.Equal("exit code", rest.Stop(), 0)
	_, ends, _ := b.Ledger()
	for i := range jobs {
		if n := ends[fmt.Sprintf("%06d", i)]; n != 1 {
			b.Errorf("job %d has run %d times", i, n)
		}
	}
	return b.midway
}

// conserved checks that each job is in one place, or has run.
func (b *bulkRun) conserved(jobs int) {
	b.Helper()
	flat, err := b.Raw.Eval(b.Context(), everything, nil).StringSlice()
	b.Must(err)
	places := map[string][]string{}
	for i := 0; i+1 < len(flat); i += 2 {
		places[flat[i+1]] = append(places[flat[i+1]], flat[i])
	}
	_, ends, _ := b.Ledger()
	for i := range jobs {
		id := fmt.Sprintf("j%06d", i)
		in := slices.DeleteFunc(places[id], func(place string) bool {
			return place == "in flight" && ends[strings.TrimPrefix(id, "j")] > 0
		})
		if n := len(in); n != 1 && !(n == 0 && ends[strings.TrimPrefix(id, "j")] == 1) {
			b.Errorf("job %s is in %v and has run %d times", id, in, ends[id[1:]])
		}
	}
}
