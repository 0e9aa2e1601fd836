package model

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

const (
	pairQueues, pairOwners = 3, 4
	pairLimit              = 2_500 // the most bytes of a payload
)

var abc = [pairQueues]string{"a", "b", "c"}

// pair is a Redis and its twin. They get the same commands.
type pair struct {
	*testing.T
	twin   *Twin
	raw    *redis.Client
	store  *queue.Store
	client *queue.Client
	owners [pairOwners]*queue.Owner
	home   map[int8]int // the queue that a job was pushed to
	jobs   int8
	clock  int64           // grows, for scores and lengths of leases that must be in order
	raws   map[int8]string // the payloads that Redis had at the last comparison
	coming []Job           // the jobs of the next push
	marked []Job           // jobs whose push was idempotent
	few    bool            // few owners and queues, and many locks
}

func TestTwin(t *testing.T) {
	t.Run("does what the scripts do in any sequence of commands", compareWithScripts)
}

// compareWithScripts also gives keys wrong types. What the search shows for the twin is true for
// the scripts, because both do the same.
func compareWithScripts(t *testing.T) {
	s := redistest.Start(t)
	store := s.Store(func(c *queue.Config) {
		c.MaxTaken, c.Capabilities = pairLimit, []queue.Capability{unique.Capability()}
	})
	raw, round := s.Client(), 0
	rapid.Check(t, func(rt *rapid.T) {
		raw.FlushAll(t.Context())
		round++
		p := &pair{T: t, twin: NewTwin(pairQueues, pairOwners), raw: raw, store: store,
			home: map[int8]int{}, raws: map[int8]string{}, few: rapid.Bool().Draw(rt, "few")}
		p.client = queue.NewClient(store, p.prepare)
		for i := range p.owners {
			p.owners[i] = store.Owner(fmt.Sprintf("h:%d:%d", round, i))
			p.register(rt, i)
		}
		rt.Repeat(p.commands())
	})
}

// commands returns the commands of a sequence, by name. With few owners and queues, the usual ones
// of jobs come more often.
func (p *pair) commands() map[string]func(*rapid.T) {
	list := map[string]func(*rapid.T){
		"push": p.push, "push repeated": p.repeat, "fetch": p.fetch, "claim": p.claim,
		"settle": p.settle, "reclaim": p.reclaim, "drop": p.drop, "promote": p.promote,
		"back": p.back, "": p.compare}
	for _, name := range []string{"push", "fetch", "claim", "settle", "reclaim"} {
		list[name+" again"] = list[name]
	}
	if p.few {
		return list
	}
	for name, command := range map[string]func(*rapid.T){"clear": p.clear, "ring": p.ring,
		"leave": p.leave, "fence": p.fence, "beat": p.beat, "forget": p.forget, "alone": p.alone,
		"beside": p.beside, "pause": p.pause, "break": p.breakKey, "mend": p.mend} {
		list[name] = command
	}
	return list
}

func (p *pair) tick() int64 { p.clock++; return p.clock }

func (p *pair) check(t *rapid.T, what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s: Redis says %s, the twin %s", what, g, w)
	}
}

func (p *pair) register(t *rapid.T, id int) {
	lease := time.Hour + time.Duration(p.tick())*time.Second
	if err := p.owners[id].Register(p.Context(), queue.Host{Name: "h", PID: 1}, abc[:],
		lease); err != nil {
		t.Fatal(err)
	}
	p.twin.Register(id, p.clock)
}

// owner and queue draw one of few or of all.
func (p *pair) owner(t *rapid.T) int { return p.draw(t, "owner", 2, pairOwners) }
func (p *pair) queue(t *rapid.T) int { return p.draw(t, "queue", 1, pairQueues) }

func (p *pair) draw(t *rapid.T, what string, few, all int) int {
	if p.few {
		all = few
	}
	return rapid.IntRange(0, all-1).Draw(t, what)
}

func (p *pair) back(t *rapid.T) { p.register(t, p.owner(t)) }

func (p *pair) fetch(t *rapid.T) {
	id, order := p.owner(t), rapid.Permutation([]int{0, 1, 2}).Draw(t, "order")
	r := Fetch{ID: id, Queues: order, Want: rapid.IntRange(0, 20).Draw(t, "want"), Limit: pairLimit,
		Done: make([][]uint64, pairQueues)}
	r.Room = rapid.SampledFrom([]int{queue.FetchBytes, 400, 1_000, 2_000}).Draw(t, "bytes")
	r.First = p.store.Tokens(r.Want)
	real := queue.FetchRequest{Want: r.Want, First: r.First, Bytes: r.Room}
	for i, q := range order {
		real.Queues = append(real.Queues, abc[q])
		for _, h := range p.twin.flight[p.twin.at(id, q)] {
			if h.Job.Lock == NoLock && rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
				r.Done[i] = append(r.Done[i], h.Token)
				real.Done = append(real.Done, &queue.Delivery{Queue: abc[q], Owner: p.owners[id],
					Token: h.Token})
			}
		}
		if rapid.Bool().Draw(t, "adopt") {
			r.Adopt = append(r.Adopt, i)
		}
	}
	real.Adopt = r.Adopt
	for i := 0; r.Want > 0 && i < r.Want && rapid.IntRange(0, 9).Draw(t, "draw") > 2; i++ {
		draw := rapid.Permutation([]int{0, 1, 2}).Draw(t, "order of a draw")
		r.Draws = append(r.Draws, draw)
		real.Draws = append(real.Draws, string([]byte{byte(draw[0] + 1), byte(draw[1] + 1),
			byte(draw[2] + 1)}))
	}
	if r.Draws == nil {
		for rapid.IntRange(0, 3).Draw(t, "turn") > 1 {
			r.Turns = append(r.Turns, queue.Turn{Queue: rapid.IntRange(0, 2).Draw(t, "queue"),
				Most: rapid.IntRange(0, 5).Draw(t, "most")})
		}
	}
	real.Turns = r.Turns
	got, err := p.owners[id].Fetch(p.Context(), real)
	want := p.twin.Fetch(r)
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) {
		t.Fatal(err)
	}
	p.check(t, "lost", err != nil, want.Lost)
	p.check(t, "acked, buried, more", []any{got.Acked, got.Oversized, got.More}, []any{want.Acked,
		want.Oversized, want.More})
	p.check(t, "refused", got.Refused, want.Refused)
	var jobs, twins []string
	for _, d := range got.Jobs {
		jobs = append(jobs, fmt.Sprint(d.Queue, d.Token, idOfRaw(d.Raw)))
	}
	for _, j := range want.Jobs {
		twins = append(twins, fmt.Sprint(abc[j.Queue], j.Token, j.Job.ID))
	}
	p.check(t, "jobs", jobs, twins)
}

// idOfRaw returns the number of the job of a payload.
func idOfRaw(raw string) (id int8) {
	if j, err := envelope.ParseJob(raw); err == nil {
		fmt.Sscanf(j.JID, "j%d", &id)
	}
	return id
}

func (p *pair) ring(t *rapid.T) {
	id, q := p.owner(t), p.queue(t)
	badList := p.twin.bad[Key{Kind: listKey, A: q}]
	if len(p.twin.lists[q]) == 0 || badList {
		return // the BLMOVE would wait, or Redis would refuse it
	}
	bell := p.owners[id].Bell(abc[q])
	defer bell.Close()
	serves := rapid.SampledFrom([][]int{{q}, {0, 1, 2}, {2, 1, 0}}).Draw(t, "serves")
	r := Fetch{ID: id, Queues: serves, First: p.store.Tokens(1), Limit: pairLimit,
		Adopt: []int{slices.Index(serves, q)}}
	var names []string
	for _, q := range serves {
		names = append(names, abc[q])
	}
	large := p.twin.lists[q][len(p.twin.lists[q])-1].Size > pairLimit
	bad := p.twin.bad[Key{landingKey, id, q}]
	rung, err := bell.Ring(p.Context(), r.First, names)
	p.check(t, "refused", errors.Is(err, queue.ErrWrongType), bad)
	p.check(t, "large", errors.Is(err, redisdb.ErrLarge), large && !bad)
	rang := !bad && p.twin.Ring(id, q)
	p.check(t, "landed", rung.Landed, rang && !large)
	j, delivered := p.twin.Answer(r)
	p.check(t, "delivered", rung.Job != nil, delivered)
	if delivered && rung.Job != nil {
		p.check(t, "job", idOfRaw(rung.Job.Raw), j.ID)
	}
}

var actions = []queue.Action{queue.Done, queue.Retry, queue.Schedule, queue.Dead, queue.Requeue,
	queue.Forward, queue.Hold}

func (p *pair) settle(t *rapid.T) {
	var can []Settlement
	for at, hash := range p.twin.flight {
		for _, h := range hash {
			can = append(can, Settlement{ID: at / pairQueues, Queue: at % pairQueues,
				Token: h.Token, Payload: h.Job})
		}
	}
	if len(can) == 0 {
		return
	}
	var batch []queue.Settlement
	var twins []Settlement
	for range rapid.IntRange(1, 4).Draw(t, "n") { // a delivery may be settled twice
		x := can[rapid.IntRange(0, len(can)-1).Draw(t, "job")]
		x.Action, x.To = rapid.SampledFrom(actions).Draw(t, "action"), p.queue(t)
		d := &queue.Delivery{Queue: abc[x.Queue], Owner: p.owners[x.ID], Token: x.Token}
		y := queue.Settlement{Delivery: d, Action: x.Action, Payload: p.raws[x.Payload.ID],
			At: time.Now().Add(time.Duration(p.tick()) * time.Second)}
		p.affect(t, &x, &y)
		switch x.Action {
		case queue.Forward:
			y.To = abc[x.To]
		case queue.Hold:
			y.To = "Job"
		}
		batch, twins = append(batch, y), append(twins, x)
	}
	results, err := p.store.Settle(p.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	p.check(t, "settle", results, p.twin.Settle(twins))
}

func (p *pair) leave(t *rapid.T) {
	id := p.owner(t)
	if err := p.owners[id].Leave(p.Context(), queue.Host{}, abc[:]); err != nil {
		t.Fatal(err)
	}
	p.twin.Leave(id, p.tick())
}

func (p *pair) beat(t *rapid.T) {
	id := p.owner(t)
	_, err := p.owners[id].Beat(p.Context(), time.Hour+time.Duration(p.tick())*time.Second)
	p.check(t, "beat", err == nil, p.twin.Beat(id, p.clock))
}

// fence declares an owner dead. Sometimes the owner beats between the look and the fence.
func (p *pair) fence(t *rapid.T) {
	p.declareDead(t, p.owner(t))
}

func (p *pair) declareDead(t *rapid.T, id int) {
	leases, err := p.store.Leases(p.Context())
	at := slices.IndexFunc(leases,
		func(l queue.Lease) bool { return l.Identity == p.owners[id].Identity })
	if err != nil || at < 0 {
		p.check(t, "lease", err, nil)
		return
	}
	seen := p.twin.owners[id].Lease
	if rapid.Bool().Draw(t, "beats") {
		p.owners[id].Beat(p.Context(), time.Hour+time.Duration(p.tick())*time.Second)
		p.twin.Beat(id, p.clock)
	}
	fenced, err := p.store.Fence(p.Context(), leases[at])
	p.check(t, "fence", []any{fenced, err}, []any{p.twin.Fence(id, seen, p.tick()), nil})
}

// reclaim puts jobs of a dead owner back: of one that holds some, if there is one.
func (p *pair) reclaim(t *rapid.T) {
	id, q, page := p.owner(t), p.queue(t), rapid.IntRange(1, 3).Draw(t, "page")
	for at, hash := range p.twin.flight {
		if len(hash) > 0 && rapid.Bool().Draw(t, "this") {
			id, q = at/pairQueues, at%pairQueues
		}
	}
	if rapid.Bool().Draw(t, "marked") {
		p.mark(t, id)
	}
	if p.twin.owners[id].Lease >= 0 {
		p.declareDead(t, id)
	}
	if p.twin.owners[id].Lease >= 0 {
		return
	}
	times := rapid.IntRange(0, 2).Draw(t, "times")
	got, _, err := p.store.Reclaim(p.Context(), p.owners[id].Identity, abc[q],
		queue.Poison{Times: times, Within: time.Hour}, page)
	if err != nil {
		t.Fatal(err)
	}
	want := p.twin.Reclaim(id, q, times, page)
	p.check(t, "reclaim", []int{got.Landed, got.Requeued, got.Refused, len(got.Poisoned),
		len(got.Failed)}, []int{want.Landed, want.Requeued, want.Refused, len(want.Poisoned),
		want.Partly})
}

func (p *pair) forget(t *rapid.T) {
	id := p.owner(t)
	got, err := p.store.Forget(p.Context(), p.owners[id].Identity, queue.Host{}, abc[:], 0)
	p.check(t, "forget", []any{got, err}, []any{p.twin.Forget(id), nil})
}

// promote moves all jobs that are due within two hours, in the order of the scores.
func (p *pair) promote(t *rapid.T) {
	set := rapid.SampledFrom([]queue.Action{queue.Retry, queue.Schedule}).Draw(t, "set")
	members := p.twin.retry
	if set == queue.Schedule {
		members = p.twin.schedule
	}
	moved, _, _ := p.store.Promote(p.Context(), string(set), time.Now().Add(2*time.Hour), 1000)
	want := 0
	for _, j := range members {
		if p.twin.Promote(set, j.ID, p.home[j.ID]) == queue.Settled {
			want++
		}
	}
	p.check(t, "promote", moved, want)
}

func (p *pair) alone(t *rapid.T) { p.mark(t, p.owner(t)) }

// beside notes that deliveries run beside others.
func (p *pair) beside(t *rapid.T) {
	id := p.owner(t)
	for q := range pairQueues {
		for _, h := range p.twin.flight[p.twin.at(id, q)] {
			if rapid.Bool().Draw(t, "this") {
				err := p.owners[id].Beside(p.Context(), &queue.Delivery{Token: h.Token})
				p.check(t, "beside", err == nil, p.twin.Beside(id, h.Token))
			}
		}
	}
}

func (p *pair) mark(t *rapid.T, id int) {
	var d *queue.Delivery
	token := uint64(0)
	for q := range pairQueues {
		for _, h := range p.twin.flight[p.twin.at(id, q)] {
			if rapid.Bool().Draw(t, "this") {
				token = h.Token
				d = &queue.Delivery{Queue: abc[q], Owner: p.owners[id], Token: token}
			}
		}
	}
	err := p.owners[id].Alone(p.Context(), d)
	p.check(t, "alone", err == nil, p.twin.Alone(id, token, uint64(p.tick())) || d == nil)
}

func (p *pair) pause(t *rapid.T) {
	q := p.queue(t)
	if p.twin.bad[Key{Kind: pausedKey}] {
		return
	}
	p.twin.paused[q] = !p.twin.paused[q]
	if p.twin.paused[q] {
		p.raw.SAdd(p.Context(), "paused", abc[q])
	} else {
		p.raw.SRem(p.Context(), "paused", abc[q])
	}
}
