package queue_test

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"pgregory.net/rapid"
)

// world is a model of Redis: each command is also carried out on slices in memory. Jobs are named
// by their JIDs.
type world struct {
	*fixture
	t *rapid.T

	lists  map[string][]string // by queue; the next job to run is last, as in Redis
	sets   map[string][]string // retry, schedule and dead
	owners []*holder
	ended  map[string]bool
	pushed int
}

// holder is an owner with its jobs.
type holder struct {
	*queue.Owner
	inFlight []*queue.Delivery   // the oldest first
	landed   map[string][]string // by queue; the first to land first
	left     bool
}

func TestAnySequence(t *testing.T) {
	t.Run("of commands leaves each job in the place where the model has it", func(t *testing.T) {
		f := newFixture(t)
		rounds := 0
		rapid.Check(t, func(rt *rapid.T) {
			f.raw.FlushAll(t.Context())
			rounds++
			w := &world{fixture: f, t: rt, lists: map[string][]string{},
				sets: map[string][]string{}, ended: map[string]bool{}}
			for range 3 {
				w.join(rounds)
			}
			rt.Repeat(map[string]func(*rapid.T){
				"push":     w.push,
				"schedule": w.schedule,
				"fetch":    w.fetch,
				"ring":     w.ring,
				"settle":   w.settleOne,
				"promote":  w.promote,
				"die":      w.die,
				"audit":    w.audit,
				"":         w.compare,
			})
		})
	})
}

func (w *world) join(round int) {
	o := w.store.Owner(fmt.Sprintf("h:%d:%d", round, len(w.owners)))
	if err := o.Register(w.Context(), queue.Host{Name: "h", PID: 1}, abc, time.Hour); err != nil {
		w.t.Fatal(err)
	}
	w.owners = append(w.owners, &holder{Owner: o, landed: map[string][]string{}})
}

func (w *world) push(t *rapid.T) {
	q := rapid.SampledFrom(abc).Draw(t, "queue")
	n := rapid.IntRange(1, 4).Draw(t, "n")
	for range n {
		w.pushed++
		jid := fmt.Sprint("j", w.pushed)
		if _, err := w.client.Push(w.Context(), "Job", []any{n},
			queue.Options{Queue: q, JID: jid}); err != nil {
			t.Fatal(err)
		}
		w.lists[q] = append([]string{jid}, w.lists[q]...)
	}
}

func (w *world) schedule(t *rapid.T) {
	w.pushed++
	jid := fmt.Sprint("j", w.pushed)
	q := rapid.SampledFrom(abc).Draw(t, "queue")
	if _, err := w.client.Push(w.Context(), "Job", nil,
		queue.Options{Queue: q, JID: jid, At: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	w.sets["schedule"] = append(w.sets["schedule"], jid)
}

// one draws an owner that has not left, or nil. With busy it has jobs in flight.
func (w *world) one(t *rapid.T, busy bool) *holder {
	var can []*holder
	for _, k := range w.owners {
		if !k.left && (!busy || len(k.inFlight) > 0) {
			can = append(can, k)
		}
	}
	if len(can) == 0 {
		return nil
	}
	return can[rapid.IntRange(0, len(can)-1).Draw(t, "owner")]
}

func (w *world) fetch(t *rapid.T) {
	k := w.one(t, false)
	if k == nil {
		return
	}
	order := rapid.Permutation(abc).Draw(t, "order")
	want := rapid.IntRange(1, 5).Draw(t, "want")
	var acks []*queue.Delivery // of jobs that have ended
	for _, d := range slices.Clone(k.inFlight) {
		if rapid.Bool().Draw(t, "ends") {
			acks = append(acks, d)
			w.drop(k, d)
			w.ended[jidOf(d.Raw)] = true
		}
	}
	jobs, stale, err := take(w.Context(), w.store, k.Owner, order, want, nil, acks)
	if err != nil || stale != 0 {
		t.Fatalf("fetch: %v, %d stale", err, stale)
	}
	var expect []string
	for _, q := range order { // no job of a queue while a queue before it holds one
		for len(w.lists[q]) > 0 && len(expect) < want {
			expect = append(expect, w.next(q))
		}
	}
	var got []string
	for _, d := range jobs {
		got = append(got, jidOf(d.Raw))
	}
	if !slices.Equal(got, expect) {
		t.Fatalf("fetched %v in the order of %v, want %v", got, order, expect)
	}
	k.inFlight = append(k.inFlight, jobs...)
}

// next removes the next job to run from a queue of the model.
func (w *world) next(q string) string {
	n := len(w.lists[q]) - 1
	jid := w.lists[q][n]
	w.lists[q] = w.lists[q][:n]
	return jid
}

func (w *world) drop(k *holder, d *queue.Delivery) {
	k.inFlight = slices.DeleteFunc(k.inFlight, func(x *queue.Delivery) bool { return x == d })
}

func (w *world) ring(t *rapid.T) {
	k := w.one(t, false)
	q := rapid.SampledFrom(abc).Draw(t, "queue")
	if k == nil || len(w.lists[q]) == 0 {
		return
	}
	if err := w.raw.LMove(w.Context(), "queue:"+q, "kyu:{queue:"+q+"}:landing:"+k.Identity, "RIGHT",
		"LEFT").Err(); err != nil {
		t.Fatalf("rang: %v", err)
	}
	k.landed[q] = append(k.landed[q], w.next(q))
}

func (w *world) settleOne(t *rapid.T) {
	k := w.one(t, true)
	if k == nil {
		return
	}
	d := k.inFlight[rapid.IntRange(0, len(k.inFlight)-1).Draw(t, "job")]
	jid := jidOf(d.Raw)
	action := rapid.SampledFrom([]queue.Action{queue.Done, queue.Retry, queue.Schedule, queue.Dead,
		queue.Requeue, queue.Forward}).Draw(t, "action")
	x := queue.Settlement{Delivery: d, Action: action, Payload: d.Raw,
		At: time.Now().Add(-time.Minute), To: "c"}
	for try := range 2 { // the second time nothing is settled
		settled, err := settleOne(w.Context(), w.store, x)
		if err != nil || settled != (try == 0) {
			t.Fatalf("settle %s, %d: settled %v, %v", action, try, settled, err)
		}
	}
	w.drop(k, d)
	switch action {
	case queue.Done:
		w.ended[jid] = true
	case queue.Requeue:
		w.lists[d.Queue] = append(w.lists[d.Queue], jid)
	case queue.Forward:
		w.lists["c"] = append([]string{jid}, w.lists["c"]...)
	default:
		w.sets[string(action)] = append(w.sets[string(action)], jid)
	}
}

// promote moves all due jobs, at a time when the scheduled jobs are due.
func (w *world) promote(t *rapid.T) {
	set := rapid.SampledFrom(queue.DueSets).Draw(t, "set")
	members := w.raw.ZRange(w.Context(), set, 0, -1).Val() // in the order of their times
	moved, _, err := w.store.Promote(w.Context(), set, time.Now().Add(2*time.Hour), 1000)
	if err != nil || moved != len(w.sets[set]) {
		t.Fatalf("promoted %d of %d, %v", moved, len(w.sets[set]), err)
	}
	for _, raw := range members {
		j, err := envelope.ParseJob(raw)
		if err != nil {
			t.Fatal(err)
		}
		w.lists[j.Queue] = append([]string{j.JID}, w.lists[j.Queue]...)
	}
	delete(w.sets, set)
}

// die lets an owner leave with its jobs, which are then reclaimed.
func (w *world) die(t *rapid.T) {
	k := w.one(t, false)
	if k == nil {
		return
	}
	if err := k.Leave(w.Context(), queue.Host{}, abc); err != nil {
		t.Fatal(err)
	}
	if _, _, err := take(w.Context(), w.store, k.Owner, abc, 1, nil,
		nil); err != queue.ErrLeaseLost {
		t.Fatalf("an owner that has left fetched: %v", err)
	}
	for _, q := range abc {
		want := w.reclaimed(k, q)
		got, more, err := w.store.Reclaim(w.Context(), k.Identity, q, queue.Poison{}, 1000)
		if err != nil || more || got.Requeued+got.Landed != len(want) {
			t.Fatalf("reclaimed %+v of %v, %v", got, want, err)
		}
		w.lists[q] = append(w.lists[q], want...)
	}
	k.left, k.inFlight, k.landed = true, nil, nil
	w.join(1_000_000 + w.pushed)
}

// reclaimed returns a dead owner's jobs of a queue in the order in which they go back to its list:
// landed jobs first, then jobs in flight, of which the oldest is the next to run.
func (w *world) reclaimed(k *holder, q string) []string {
	var jids []string
	for _, jid := range slices.Backward(k.landed[q]) { // the last to land was behind the others
		jids = append(jids, jid)
	}
	for _, d := range slices.SortedFunc(slices.Values(k.inFlight),
		func(a, b *queue.Delivery) int { return cmp.Compare(b.Token, a.Token) }) {
		if d.Queue == q {
			jids = append(jids, jidOf(d.Raw))
		}
	}
	return jids
}

// audit lets an owner forget a delivery, as if its reply had been lost, and find it in Redis.
func (w *world) audit(t *rapid.T) {
	k := w.one(t, true)
	if k == nil {
		return
	}
	at := rapid.IntRange(0, len(k.inFlight)-1).Draw(t, "job")
	d := k.inFlight[at]
	w.drop(k, d)
	list, _, err := k.InFlight(w.Context(), abc)
	known := func(d *queue.Delivery) bool {
		return slices.ContainsFunc(k.inFlight,
			func(x *queue.Delivery) bool { return x.Token == d.Token })
	}
	lost := slices.DeleteFunc(list, known)
	if err != nil || len(lost) != 1 || lost[0].Token != d.Token {
		t.Fatalf("the audit finds %v, want %d, %v", lost, d.Token, err)
	}
	k.inFlight = slices.Insert(k.inFlight, at, d)
}

// compare compares all jobs in Redis with the model: in queues in order, in other places as sets.
func (w *world) compare(t *rapid.T) {
	for _, q := range abc {
		var got []string
		for _, raw := range w.raw.LRange(w.Context(), "queue:"+q, 0, -1).Val() {
			got = append(got, jidOf(raw))
		}
		if !slices.Equal(got, w.lists[q]) {
			t.Fatalf("queue %s holds %v, want %v", q, got, w.lists[q])
		}
	}
	for _, set := range []string{"retry", "schedule", "dead"} {
		w.sameJobs(t, set, w.raw.ZRange(w.Context(), set, 0, -1).Val(), w.sets[set])
	}
	for _, k := range w.owners {
		var got, want []string
		for _, q := range abc {
			got = append(got, w.raw.HVals(w.Context(),
				"kyu:{queue:"+q+"}:inflight:"+k.Identity).Val()...)
			got = append(got, w.raw.LRange(w.Context(),
				"kyu:{queue:"+q+"}:landing:"+k.Identity, 0, -1).Val()...)
		}
		for _, d := range k.inFlight {
			want = append(want, jidOf(d.Raw))
		}
		for _, q := range abc {
			want = append(want, k.landed[q]...)
		}
		w.sameJobs(t, k.Identity, got, want)
	}
}

// sameJobs compares jobs as a set.
func (w *world) sameJobs(t *rapid.T, where string, raws, want []string) {
	var got []string
	for _, raw := range raws {
		got = append(got, jidOf(raw))
	}
	sort.Strings(got)
	want = slices.Clone(want)
	sort.Strings(want)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("%s holds %v, want %v", where, got, want)
	}
}
