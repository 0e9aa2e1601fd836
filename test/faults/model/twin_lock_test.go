package model

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"pgregory.net/rapid"
)

// lockName returns the digest of a lock.
func lockName(lock int) string {
	name := digestNames[lock/locksOfDigest]
	if lock%locksOfDigest == runLock {
		name += ":RUN"
	}
	return name
}

// locked returns a job with the fields of j's lock, for package unique.
func locked(j Job) *queue.Job {
	raw := fmt.Sprintf(`{"class":"Job","args":[],"jid":"j%d","lock":%q,"lock_digest":%q}`, j.ID,
		kindsOfLocks[j.Lock], digestNames[j.Digest])
	job, err := envelope.ParseJob(raw)
	if err != nil {
		panic(err)
	}
	return job
}

// changes returns changes of locks in the form of package unique.
func changes(list []Change) (effects []queue.Effect) {
	for _, c := range list {
		kind := UntilDone // its effects name the lock of jobs that wait, those of the other both
		if int(c.Lock)%locksOfDigest == runLock {
			kind = WhileRunning
		}
		j := Job{ID: c.Job, Lock: kind, Digest: c.Lock / locksOfDigest}
		e := unique.Capability().Effects(locked(j), queue.EventDone)[0]
		e.Args[0] = "release"
		if c.Take {
			e.Args[0] = "take"
		}
		effects = append(effects, e)
	}
	return effects
}

// prepare is a client middleware: it makes the next job of a push the next one of p.coming.
func (p *pair) prepare(ctx context.Context, n *queue.NewJob,
	next func(context.Context, *queue.NewJob) error) error {
	j := p.coming[0]
	p.coming = p.coming[1:]
	n.JID = fmt.Sprint("j", j.ID)
	if j.Lock != NoLock {
		n.Extra = map[string]any{"lock": kindsOfLocks[j.Lock], "lock_digest": digestNames[j.Digest]}
	}
	for _, e := range changes(j.pushClaims()) {
		n.Claims = append(n.Claims, queue.Claim{Effect: e})
	}
	return next(ctx, n)
}

// push pushes jobs in one call. Some have locks.
func (p *pair) push(t *rapid.T) {
	if p.jobs > 100 {
		return
	}
	q, pad := p.queue(t), rapid.SampledFrom([]int{0, 0, 700, 3_000}).Draw(t, "pad")
	var args [][]any
	for range rapid.IntRange(1, 5).Draw(t, "n") {
		p.jobs++
		j := Job{ID: p.jobs}
		if pad < pairLimit { // a fetch releases no locks of jobs that are too large
			j.Lock = rapid.SampledFrom([]Lock{UntilDone, UntilStart, WhileRunning,
				UntilStartWhileRunning, NoLock, NoLock, NoLock}).Draw(t, "lock")
			j.Digest = int8(rapid.IntRange(0, digests-1).Draw(t, "digest"))
		}
		p.coming, p.home[p.jobs] = append(p.coming, j), q
		args = append(args, []any{fmt.Sprintf("%*d", pad, 1)})
	}
	all := p.coming
	o := queue.Options{Queue: abc[q], Idempotent: rapid.Bool().Draw(t, "idempotent")}
	got, err := p.client.PushBulk(p.Context(), "Job", args, o)
	want := p.twin.PushClaiming(q, all...)

	p.check(t, "push", err == nil, len(want) == len(all))
	var jids []string
	for _, j := range want {
		jids = append(jids, fmt.Sprint("j", j.ID))
	}
	p.check(t, "pushed", slices.DeleteFunc(got, func(jid string) bool { return jid == "" }), jids)
	if o.Idempotent {
		p.marked = append(p.marked, want...)
	}
}

// repeat repeats a push whose marker is there. It changes nothing, and makes no claims.
func (p *pair) repeat(t *rapid.T) {
	if len(p.marked) > 0 {
		j := rapid.SampledFrom(p.marked).Draw(t, "job")
		p.coming = []Job{j}
		p.client.PushBulk(p.Context(), "Job", [][]any{{1}}, queue.Options{Queue: abc[p.home[j.ID]],
			Idempotent: true})
	}
}

// flights returns the deliveries of the twin, as settlements.
func (p *pair) flights() (list []Settlement) {
	for at, hash := range p.twin.flight {
		for _, h := range hash {
			list = append(list, Settlement{ID: at / pairQueues, Queue: at % pairQueues,
				Token: h.Token, Payload: h.Job})
		}
	}
	return list
}

// claim makes the claims of the start of a job: of one in flight, or of one that was.
func (p *pair) claim(t *rapid.T) {
	can := p.flights()
	if len(can) == 0 {
		return
	}
	x := rapid.SampledFrom(can).Draw(t, "job")
	j := x.Payload
	if rapid.IntRange(0, 3).Draw(t, "stale") == 0 {
		x.Token += 1_000_000
	}
	d := &queue.Delivery{Queue: abc[x.Queue], Owner: p.owners[x.ID], Token: x.Token}
	refusal, err := p.owners[x.ID].Claim(p.Context(), fmt.Sprint("j", j.ID), d,
		changes(j.startClaims())...)
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) && !errors.Is(err, queue.ErrClaim) {
		t.Fatal(err)
	}
	granted, mine := p.twin.Claim(x.ID, x.Queue, x.Token, j.startClaims())
	p.check(t, "claim", []any{err == nil && refusal == nil, !errors.Is(err, queue.ErrLeaseLost)},
		[]any{granted, mine})
}

// affect adds the effects of a job to a settlement.
func (p *pair) affect(t *rapid.T, x *Settlement, y *queue.Settlement) {
	event := events[x.Action]
	if x.Action == queue.Done {
		event = rapid.SampledFrom([]queue.EffectEvent{queue.EventDone, queue.EventExpire,
			queue.EventDiscard}).Draw(t, "event")
	}
	x.Effects = x.Payload.effects(event)
	var err error
	if y.Effects, err = y.Delivery.Owner.Effects(locked(x.Payload), event); err != nil {
		t.Fatal(err)
	}
}

// drop deletes a job by hand, or moves it to the dead set.
func (p *pair) drop(t *rapid.T) {
	kinds := []kind{listKey, retryKey, scheduleKey, deadKey}
	k := Key{Kind: rapid.SampledFrom(kinds).Draw(t, "from")}
	if k.Kind == listKey {
		k.A = p.queue(t)
	}
	jobs := *p.twin.jobsAt(k)
	if len(jobs) == 0 {
		return
	}
	j := rapid.SampledFrom(jobs).Draw(t, "job")
	raw, n, bury := p.raws[j.ID], 1, false
	var err error
	if k.Kind == listKey {
		err = p.store.DeleteFromQueue(p.Context(), abc[k.A], raw)
	} else {
		set := map[kind]*queue.JobSet{retryKey: p.store.RetrySet(),
			scheduleKey: p.store.ScheduleSet(), deadKey: p.store.DeadSet()}[k.Kind]
		remove := set.Delete
		if bury = k.Kind != deadKey && rapid.Bool().Draw(t, "bury"); bury {
			remove = set.Kill
		}
		n, err = remove(p.Context(), queue.NewEntry(raw, 0))
	}
	p.check(t, "drop", p.outcome(t, n, err), p.twin.Drop(k, j.ID, bury))
}

// outcome returns the result of a removal by hand.
func (p *pair) outcome(t *rapid.T, n int, err error) queue.Result {
	var effects *queue.EffectsError
	var wrongType *queue.WrongTypeError
	switch {
	case errors.As(err, &effects):
		return queue.Partly
	case errors.As(err, &wrongType):
		return queue.Refused
	case errors.Is(err, queue.ErrNotFound) || err == nil && n == 0:
		return queue.Stale
	case err != nil:
		t.Fatal(err)
	}
	return queue.Settled
}

// clear removes all jobs of a queue.
func (p *pair) clear(t *rapid.T) {
	q := p.queue(t)
	if rapid.IntRange(0, 3).Draw(t, "rarely") > 0 || p.twin.bad[Key{Kind: listKey, A: q}] {
		return
	}
	p.store.ClearQueue(p.Context(), abc[q])
	for _, j := range p.twin.lists[q] {
		p.twin.Drop(Key{Kind: listKey, A: q}, j.ID, false)
	}
	p.twin.names[q] = p.twin.names[q] && p.twin.bad[Key{Kind: queuesKey}]
}

// compareLocks compares who holds each lock, and what else Redis has of it.
func (p *pair) compareLocks(t *rapid.T) {
	ctx := p.Context()
	var digests []string
	for lock, holders := range p.twin.locks {
		name := lockName(lock)
		got, _ := p.raw.HKeys(ctx, p.look(Key{Kind: lockKey, A: lock})).Result()
		last, _ := p.raw.Get(ctx, name).Result()
		var want []string
		for _, id := range holders {
			want = append(want, fmt.Sprint("j", id))
		}
		p.check(t, name, got, want)
		if len(want) == 1 {
			p.check(t, "the value of "+name, last, want[0])
			digests = append(digests, name)
		}
	}
	slices.Sort(digests)
	got := p.raw.ZRange(ctx, "uniquejobs:digests", 0, -1).Val()
	slices.Sort(got)
	p.check(t, "digests", got, digests)
	keys := p.raw.Keys(ctx, "uniquejobs:[ab]*").Val()
	p.check(t, "keys", len(keys) > 2*len(digests)+len(p.twin.bad), false)
}
