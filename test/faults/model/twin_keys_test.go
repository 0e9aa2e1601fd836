package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/queue/envelope"
	"pgregory.net/rapid"
)

// key returns the name of a key.
func (p *pair) key(k Key) string {
	switch k.Kind {
	case listKey:
		return "queue:" + abc[k.A]
	case flightKey:
		return fmt.Sprintf("kyu:{queue:%s}:inflight:%s", abc[k.B], p.owners[k.A].Identity)
	case landingKey:
		return fmt.Sprintf("kyu:{queue:%s}:landing:%s", abc[k.B], p.owners[k.A].Identity)
	case lockKey:
		return lockName(k.A) + ":LOCKED"
	}
	return map[kind]string{retryKey: "retry", scheduleKey: "schedule", deadKey: "dead",
		queuesKey: "queues",
		pausedKey: "paused", heldKey: "kyu:held", holdKey: "kyu:hold:Job"}[k.Kind]
}

// breakKey gives a key a wrong type. Its value waits under another name.
func (p *pair) breakKey(t *rapid.T) {
	k := Key{Kind: rapid.SampledFrom([]kind{listKey, flightKey, landingKey, retryKey, scheduleKey,
		deadKey, queuesKey,
		pausedKey, heldKey, holdKey, lockKey}).Draw(t, "kind")}
	switch k.Kind {
	case listKey:
		k.A = p.queue(t)
	case lockKey:
		k.A = rapid.IntRange(0, len(p.twin.locks)-1).Draw(t, "lock")
	case flightKey, landingKey:
		k.A, k.B = p.owner(t), p.queue(t)
	}
	if p.twin.bad[k] || len(p.twin.bad) > 1 {
		return
	}
	p.raw.Rename(p.Context(), p.key(k), "aside:"+p.key(k))
	p.raw.Set(p.Context(), p.key(k), "x", 0)
	p.twin.bad[k] = true
}

// mend gives a key its value back.
func (p *pair) mend(t *rapid.T) {
	if len(p.twin.bad) == 0 {
		return
	}
	keys := slices.SortedFunc(maps.Keys(p.twin.bad), func(a,
		b Key) int {
		return strings.Compare(p.key(a), p.key(b))
	})
	k := keys[rapid.IntRange(0, len(keys)-1).Draw(t, "key")]
	p.raw.Del(p.Context(), p.key(k))
	p.raw.Rename(p.Context(), "aside:"+p.key(k), p.key(k))
	delete(p.twin.bad, k)
}

// look returns the name under which the value of a key is now.
func (p *pair) look(k Key) string {
	if p.twin.bad[k] {
		return "aside:" + p.key(k)
	}
	return p.key(k)
}

// compare compares all of Redis with the twin, in order. Then it tells the twin the new sizes of
// the payloads.
func (p *pair) compare(t *rapid.T) {
	ctx := p.Context()
	for q := range pairQueues {
		p.same(t, listKey, q, p.raw.LRange(ctx, p.look(Key{Kind: listKey, A: q}), 0, -1).Val(),
			p.twin.lists[q])
		for id := range pairOwners {
			at := p.twin.at(id, q)
			p.same(t, landingKey, at, p.raw.LRange(ctx, p.look(Key{landingKey, id, q}), 0,
				-1).Val(), p.twin.landing[at])
			hash := p.raw.HGetAll(ctx, p.look(Key{flightKey, id, q})).Val()
			var got []string
			var want []Job
			for _, h := range p.twin.flight[at] {
				got, want = append(got, hash[fmt.Sprint(h.Token)]), append(want, h.Job)
			}
			p.check(t, "in flight", len(hash), len(want))
			p.same(t, flightKey, at, got, want)
		}
		named := p.raw.SIsMember(ctx, p.look(Key{Kind: queuesKey}), abc[q]).Val()
		// A push that failed may leave a name in the set of queues.
		p.check(t, "named", named || !p.twin.names[q], true)
	}
	for k, set := range map[kind][]Job{retryKey: p.twin.retry, scheduleKey: p.twin.schedule,
		deadKey: p.twin.dead, holdKey: p.twin.hold} {
		raws, want := p.raw.ZRange(ctx, p.look(Key{Kind: k}), 0, -1).Val(), slices.Clone(set)
		if k == deadKey {
			byID := func(a, b int8) int { return int(a) - int(b) }
			slices.SortFunc(raws, func(a, b string) int { return byID(idOfRaw(a), idOfRaw(b)) })
			slices.SortFunc(want, func(a, b Job) int { return byID(a.ID, b.ID) })
		}
		p.same(t, k, 0, raws, want)
	}
	for id, o := range p.owners {
		score := p.raw.ZScore(ctx, "kyu:leases", o.Identity).Val()
		sign := func(n float64) string { return fmt.Sprint(n > 0, n < 0) }
		p.check(t, "lease", sign(score), sign(float64(p.twin.owners[id].Lease)))
	}
	p.compareLocks(t)
	p.resize()
}

// same compares the jobs of a key, and the crashes that are counted for each.
func (p *pair) same(t *rapid.T, k kind, at int, raws []string, want []Job) {
	var got, twins []string
	for _, raw := range raws {
		id, n := idOfRaw(raw), int64(0)
		if j, err := envelope.ParseJob(raw); err == nil {
			n, _ = j.Int("crashes")
		}
		p.raws[id] = raw
		got = append(got, fmt.Sprint(id, ":", n))
	}
	for _, j := range want {
		twins = append(twins, fmt.Sprint(j.ID, ":", j.Crashes))
	}
	p.check(t, fmt.Sprintf("kind %d, %d", k, at), got, twins)
}

// resize tells the twin how large the payloads are.
func (p *pair) resize() {
	size := func(jobs []Job) (list []Job) {
		for _, j := range jobs {
			j.Size = int32(len(p.raws[j.ID]))
			list = append(list, j)
		}
		return list
	}
	t := p.twin
	t.retry, t.schedule, t.dead, t.hold = size(t.retry), size(t.schedule), size(t.dead),
		size(t.hold)
	for q := range t.lists {
		t.lists[q] = size(t.lists[q])
	}
	for at := range t.landing {
		t.landing[at] = size(t.landing[at])
		for i := range t.flight[at] {
			t.flight[at][i].Job.Size = int32(len(p.raws[t.flight[at][i].Job.ID]))
		}
	}
}
