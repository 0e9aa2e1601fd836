package model

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// lanePair is a pair with lanes, two processes' view of them, and a person's.
type lanePair struct {
	*pair
	control lanes.Control
	lanes   [2]*lanes.Lanes
	on      bool // as the processes know the rule
	rev     int
	turn    *turn
}

// turn lets a command run between the two scripts of a sift.
type turn struct{ between func() }

func (h *turn) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *turn) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *turn) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); h.between != nil && cmd.Name() == "evalsha" && args[2] == 12 {
			between := h.between
			h.between = nil
			between()
		}
		return next(ctx, cmd)
	}
}

func TestLaneTwin(t *testing.T) {
	t.Run("does what the scripts of lanes do in any sequence of commands", compareWithLanes)
}

func compareWithLanes(t *testing.T) {
	s := redistest.Start(t)
	store := s.Store(func(c *queue.Config) {
		c.MaxTaken, c.Capabilities = pairLimit, []queue.Capability{lanes.Capability()}
	})
	between := new(turn)
	store.DB().Own.AddHook(between)
	raw, round := s.Client(), 0
	rapid.Check(t, func(rt *rapid.T) {
		raw.FlushAll(t.Context())
		round++
		p := &lanePair{pair: &pair{T: t, twin: NewTwin(pairQueues, pairOwners), raw: raw,
			store: store, home: map[int8]int{}, raws: map[int8]string{}, few: true},
			control: lanes.Control{Store: store}, turn: between}
		p.twin.lanes.Queue, p.twin.lanes.Limit = laneQueue, pairLimit
		for i := range p.lanes {
			p.lanes[i] = lanes.New(store, slog.New(slog.DiscardHandler))
		}
		for i := range p.owners {
			p.owners[i] = store.Owner(fmt.Sprintf("h:%d:%d", round, i))
			p.register(rt, i)
		}
		p.set(rt)
		p.refresh(rt)
		rt.Repeat(p.commands())
	})
}

func (p *lanePair) commands() map[string]func(*rapid.T) {
	list := map[string]func(*rapid.T){"push": p.push, "fetch": p.fetch, "settle": p.settle,
		"sift": p.sift, "reclaim": p.reclaim, "ring": p.ring, "close": p.close, "set": p.set,
		"drain": p.drain, "refresh": p.refresh, "drop": p.drop, "promote": p.promote,
		"back": p.back, "pause": p.pause, "": p.compare}
	for _, name := range []string{"push", "fetch", "settle", "sift"} {
		list[name+" again"], list[name+" once more"] = list[name], list[name]
	}
	return list
}

// push pushes a job as a Ruby client does.
func (p *lanePair) push(t *rapid.T) {
	if p.jobs > 100 {
		return
	}
	p.jobs++
	q := rapid.SampledFrom([]int{laneQueue, laneQueue, 1}).Draw(t, "queue")
	j := Job{ID: p.jobs, Lane: int8(rapid.IntRange(0, laneCount-1).Draw(t, "lane"))}
	pad := rapid.SampledFrom([]int{0, 0, 0, 700, 3_000}).Draw(t, "pad")
	raw := fmt.Sprintf(`{"class":"Job","args":[%q,%q],"jid":"j%d","queue":%q,"retry":true}`,
		laneNames[j.Lane], strings.Repeat("p", pad), j.ID, abc[q])
	p.home[j.ID] = q
	p.raw.SAdd(p.Context(), "queues", abc[q])
	p.raw.LPush(p.Context(), "queue:"+abc[q], raw)
	p.twin.Push(q, j)
}

func (p *lanePair) set(t *rapid.T) {
	r := fmt.Sprintf("key=args.0,max=%d,total=%d", rapid.IntRange(0, 2).Draw(t, "max"),
		rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "total"))
	rule, err := lanes.ParseRule(strings.NewReplacer(",max=0", "", ",total=0", "").Replace(r))
	if err != nil {
		t.Fatal(err)
	}
	p.check(t, "set", p.control.Set(p.Context(), abc[laneQueue], rule), nil)
	p.twin.SetLanes(rule.Max, rule.Total)
}

// refresh has both processes read the rule. It gives parked jobs back if lanes are off.
func (p *lanePair) refresh(t *rapid.T) {
	for _, l := range p.lanes {
		waiting, err := l.Refresh(p.Context(), abc[:])
		may := p.twin.lanes.On && (len(p.twin.lanes.Arrived) > 0 || p.twin.lanes.ready.first() >= 0)
		p.check(t, "refresh", []any{len(waiting) > 0, err}, []any{may, nil})
		if l := &p.twin.lanes; !l.On && l.parked()+len(l.Arrived) > 0 {
			p.twin.DrainLanes(math.MaxInt)
		}
	}
	p.on, p.rev = p.twin.lanes.On, p.twin.lanes.Rev
}

func (p *lanePair) drain(t *rapid.T) {
	n, err := p.control.Drain(p.Context(), abc[laneQueue])
	p.twin.lanes.On = false
	p.check(t, "drain", []any{n, err}, []any{p.twin.DrainLanes(math.MaxInt), nil})
}

// sift moves jobs to their lanes. Sometimes something else happens after it has read them.
func (p *lanePair) sift(t *rapid.T) {
	lease := "kyu:{queue:a}:lanes:sift"
	var between func(*rapid.T)
	if rapid.Bool().Draw(t, "something between") {
		between = rapid.SampledFrom([]func(*rapid.T){p.push, p.fetch, p.settle, p.set, p.drain,
			p.ring, p.siftAll}).Draw(t, "between")
	}
	p.raw.Del(p.Context(), lease)
	if !p.on {
		more, busy, err := p.lanes[0].Sift(p.Context(), abc[laneQueue], "one")
		p.check(t, "sift without lanes", []any{more, busy, err}, []any{false, false, nil})
		return
	}
	page, moved, rev := p.twin.Page(), 0, p.rev
	if len(page) == 0 {
		between = nil
	}
	p.turn.between = func() {
		if between != nil {
			p.raw.Del(p.Context(), lease)
			between(t)
		}
	}
	more, busy, err := p.lanes[0].Sift(p.Context(), abc[laneQueue], "one")
	p.turn.between = nil
	if len(page) > 0 {
		moved = p.twin.Sift(rev, page)
	}
	p.check(t, "sift", []any{more, busy, err},
		[]any{p.twin.arrives() || moved < 0, len(page) > 0 && moved <= 0, nil})
}

// siftAll is the sift of another process.
func (p *lanePair) siftAll(t *rapid.T) {
	more, busy, err := p.lanes[1].Sift(p.Context(), abc[laneQueue], "two")
	page, moved := p.twin.Page(), 0
	if len(page) > 0 {
		moved = p.twin.Sift(p.rev, page)
	}
	p.check(t, "sift of another", []any{more, busy, err},
		[]any{p.twin.arrives() || moved < 0, len(page) > 0 && moved <= 0, nil})
}

func (p *lanePair) close(t *rapid.T) {
	lane, till := int8(rapid.IntRange(0, laneCount-1).Draw(t, "lane")), 0.0
	d := time.Duration(0)
	if rapid.Bool().Draw(t, "for a time") {
		till = float64(p.tick())
		d = time.Duration(till) * time.Hour
	}
	p.check(t, "close", p.control.Close(p.Context(), abc[laneQueue], laneNames[lane], d), nil)
	p.twin.CloseLane(lane, till)
}

func (p *lanePair) fetch(t *rapid.T) {
	id, order := p.owner(t), rapid.Permutation([]int{0, 1, 2}).Draw(t, "order")
	r := Fetch{ID: id, Queues: order, Want: rapid.IntRange(0, 8).Draw(t, "want"), Limit: pairLimit,
		Done: make([][]uint64, pairQueues)}
	r.Room = rapid.SampledFrom([]int{queue.FetchBytes, 400, 1_000, 2_000}).Draw(t, "bytes")
	r.First = p.store.Tokens(r.Want)
	real := queue.FetchRequest{Want: r.Want, First: r.First, Bytes: r.Room}
	if rapid.IntRange(0, 4).Draw(t, "knows lanes") > 0 {
		r.Sources = []int{slices.Index(order, laneQueue)}
	}
	real.Sources = r.Sources
	for i, q := range order {
		real.Queues = append(real.Queues, abc[q])
		for _, h := range p.twin.flight[p.twin.at(id, q)] {
			if rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
				r.Done[i] = append(r.Done[i], h.Token)
				real.Done = append(real.Done, &queue.Delivery{Queue: abc[q], Owner: p.owners[id],
					Token: h.Token, Sourced: q == laneQueue})
				if q == laneQueue {
					r.Sources = []int{i}
				}
			}
		}
	}
	p.order(t, &r, &real)
	got, err := p.owners[id].Fetch(p.Context(), real)
	want := p.twin.Fetch(r)
	if err != nil && !errors.Is(err, queue.ErrLeaseLost) {
		t.Fatal(err)
	}
	var jobs, twins []string
	for _, d := range got.Jobs {
		jobs = append(jobs, fmt.Sprint(d.Queue, d.Token, idOfRaw(d.Raw)))
	}
	for _, j := range want.Jobs {
		twins = append(twins, fmt.Sprint(abc[j.Queue], j.Token, j.Job.ID))
	}
	opens := len(r.Sources) > 0 && r.Want > 0 && got.Opens > 0
	p.check(t, "fetch", []any{err != nil, got.Acked, got.Oversized, got.More, got.Unseen, opens,
		jobs}, []any{want.Lost, want.Acked, want.Oversized, want.More, want.Unseen, want.Opens,
		twins})
}

// order draws the order in which a fetch looks at the queues: strict, turns or draws.
func (p *lanePair) order(t *rapid.T, r *Fetch, real *queue.FetchRequest) {
	switch rapid.SampledFrom([]string{"strict", "strict", "turns", "draws"}).Draw(t, "by") {
	case "turns":
		for rapid.IntRange(0, 3).Draw(t, "turn") > 1 {
			r.Turns = append(r.Turns, queue.Turn{Queue: rapid.IntRange(0, 2).Draw(t, "queue"),
				Most: rapid.IntRange(0, 5).Draw(t, "most")})
		}
		real.Turns = r.Turns
	case "draws":
		for range r.Want {
			draw := rapid.Permutation([]int{0, 1, 2}).Draw(t, "order of a draw")
			r.Draws = append(r.Draws, draw)
			real.Draws = append(real.Draws, string([]byte{byte(draw[0] + 1), byte(draw[1] + 1),
				byte(draw[2] + 1)}))
		}
	}
}

func (p *lanePair) settle(t *rapid.T) {
	can := p.flights()
	if len(can) == 0 {
		return
	}
	var batch []queue.Settlement
	var twins []Settlement
	for range rapid.IntRange(1, 3).Draw(t, "n") { // a delivery may be settled twice
		x := rapid.SampledFrom(can).Draw(t, "job")
		x.Action, x.To = rapid.SampledFrom(actions).Draw(t, "action"), laneQueue
		x.Sourced = x.Queue == laneQueue
		d := &queue.Delivery{Queue: abc[x.Queue], Owner: p.owners[x.ID], Token: x.Token,
			Sourced: x.Sourced}
		y := queue.Settlement{Delivery: d, Action: x.Action, Payload: p.raws[x.Payload.ID]}
		tick := p.tick()
		later := time.Now().Add(time.Duration(tick) * time.Hour)
		switch x.Action {
		case queue.Requeue:
			if rapid.Bool().Draw(t, "closes the lane") {
				x.Till, y.At = float64(tick), later
			}
		case queue.Forward:
			y.To = abc[x.To]
		case queue.Hold:
			y.To, y.At = "Job", later
		default:
			y.At = time.Now().Add(time.Duration(tick) * time.Second)
		}
		batch, twins = append(batch, y), append(twins, x)
	}
	results, err := p.store.Settle(p.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	p.check(t, "settle", results, p.twin.Settle(twins))
}

// ring rings one of the doorbells, if it would not wait.
func (p *lanePair) ring(t *rapid.T) {
	id := p.owner(t)
	l := &p.twin.lanes
	switch which := rapid.IntRange(0, 2).Draw(t, "bell"); {
	case which == 0 && len(p.twin.lists[laneQueue]) > 0:
		if list := p.twin.lists[laneQueue]; list[len(list)-1].Size > pairLimit {
			return // the reply would be too large: then the outcome is unknown
		}
		p.rings(t, p.owners[id].Bell(abc[laneQueue]), p.twin.RingArrival())
	case which == 1 && l.Bell:
		p.rings(t, p.owners[id].ReadyBell(abc[laneQueue]), p.twin.RingReady())
	case which == 2 && len(p.twin.lists[1]) > 0:
		r := Fetch{ID: id, Queues: []int{0, 1, 2}, First: p.store.Tokens(1), Limit: pairLimit,
			Adopt: []int{1}, Sources: []int{laneQueue}}
		bell := p.owners[id].Bell(abc[1])
		defer bell.Close()
		rung, _ := bell.Ring(p.Context(), r.First, abc[:], abc[laneQueue])
		p.twin.Ring(id, 1)
		_, delivered := p.twin.Answer(r)
		p.check(t, "delivered", rung.Job != nil, delivered)
	}
}

func (p *lanePair) rings(t *rapid.T, b *queue.Bell, rang bool) {
	defer b.Close()
	rung, err := b.Ring(p.Context(), 0, nil)
	p.check(t, "rings", []any{rung.Landed, rung.Job, err}, []any{rang, (*queue.Delivery)(nil), nil})
}

// compare compares all of Redis with the twin.
func (p *lanePair) compare(t *rapid.T) {
	p.pair.compare(t)
	ctx, l, rule := p.Context(), &p.twin.lanes, "kyu:{queue:a}:lanes"
	for lane, name := range laneNames {
		list := rule + ":lane:" + name
		p.same(t, listKey, lane, p.raw.LRange(ctx, list, 0, -1).Val(), l.Parked[lane])
		busy, _ := p.raw.HGet(ctx, rule+":busy", name).Int()
		p.check(t, "busy", busy, l.Busy[lane])
		for key, set := range map[string]*ranks{"ready": &l.ready, "full": &l.full, "past": &l.past,
			"wait": &l.wait} {
			score, err := p.raw.ZScore(ctx, rule+":"+key, name).Result()
			p.check(t, key+" has "+name, err == nil, set.has(int8(lane)))
			if err == nil && key != "wait" {
				p.check(t, key+" of "+name, score, set[lane])
			}
		}
	}
	p.same(t, landingKey, -1, p.raw.LRange(ctx, rule+":arrived", 0, -1).Val(), l.Arrived)
	fields := p.raw.HMGet(ctx, rule, "parked", "running", "v").Val()
	number := func(v any) (n float64) { fmt.Sscan(fmt.Sprint(v), &n); return n }
	p.check(t, "parked, running, v", []any{number(fields[0]), number(fields[1]), number(fields[2])},
		[]any{l.parked(), l.Running, l.V})
	p.check(t, "bell", p.raw.LLen(ctx, rule+":bell").Val() > 0, l.Bell)
	var places int64
	for _, o := range p.owners {
		places += p.raw.HLen(ctx, rule+":in:"+o.Identity).Val()
	}
	p.check(t, "places", places, len(l.Places))
	p.resizeLanes()
}

// resizeLanes tells the twin how large the payloads in lanes are.
func (p *lanePair) resizeLanes() {
	l := &p.twin.lanes
	sized := func(jobs []Job) []Job {
		jobs = slices.Clone(jobs)
		for i := range jobs {
			jobs[i].Size = int32(len(p.raws[jobs[i].ID]))
		}
		return jobs
	}
	l.Arrived = sized(l.Arrived)
	for lane := range l.Parked {
		l.Parked[lane] = sized(l.Parked[lane])
	}
}
