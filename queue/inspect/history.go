package inspect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

var historyScript = redisdb.MustScript(luaFiles, "lua/history.lua")

// MaxHistory is how far back QueueHistory and ClassHistory go.
const MaxHistory = 400 * 24 * time.Hour

// Point is what the workers noted about a queue in a slot of time.
type Point struct {
	At   time.Time // the beginning of the slot
	Size int64     // how many jobs waited when a worker last looked
	Age  float64   // of the oldest job, in seconds: the largest that was seen
	// In is how many jobs came since the point before this one, which may be more than a slot
	// earlier: pushes, retries and scheduled jobs that became due, and jobs of dead workers. A job
	// that a person removed is missing here, and In is 0 if more left than came. It is 0 in the
	// first point of all.
	In int64
	// Out is how many jobs workers took and settled: done, failed, or put off, and not put back
	// unchanged.
	Out int64
}

// QueueHistory returns the points of a queue in the time d before now, at most MaxHistory, the
// oldest first, and the length of their slots: 10 s up to 6 hours, a minute up to 7 days, or else
// an hour. A slot in which no worker wrote has no point. The slot of the newest point may not have
// ended. Without any points there is no history, and no error. The clock is Redis's.
func (in *Inspector) QueueHistory(ctx context.Context, queue string,
	d time.Duration) (points []Point, step time.Duration, err error) {
	if d <= 0 || d > MaxHistory {
		return nil, 0, fmt.Errorf("history: %v: want more than 0 and at most %v", d, MaxHistory)
	}
	ring := ringFor(d)
	n := int((d + ring.Step - 1) / ring.Step)
	_, found, err := in.readRings(ctx, ring, n+1, in.ks.QueueHistory(queue, ring))
	if err != nil {
		return nil, 0, err
	}
	return found[0].queue(n), ring.Step, nil
}

// ringFor returns the finest ring that reaches so far back.
func ringFor(d time.Duration) redisdb.Ring {
	for _, r := range redisdb.QueueRings {
		if d <= r.Span() {
			return r
		}
	}
	return redisdb.ClassRing
}

// Rate is how many jobs a second came into a queue and left it.
type Rate struct{ In, Out float64 }

// Rates returns the rates of queues over the last minute, or over the part of it that has points.
// The slot that has not ended does not count. A queue is absent if no worker that serves it wrote
// two points of that time, one of them in the last 30 s.
func (in *Inspector) Rates(ctx context.Context, queues []string) (map[string]Rate, error) {
	ring := redisdb.QueueRings[0]
	keys := make([]string, len(queues))
	for i, name := range queues {
		keys[i] = in.ks.QueueHistory(name, ring)
	}
	rates := map[string]Rate{}
	_, found, err := in.readRings(ctx, ring, 8, keys...)
	if err != nil {
		return nil, err
	}
	for i, name := range queues {
		if r, ok := found[i].rate(); ok {
			rates[name] = r
		}
	}
	return rates, nil
}

// QueuesWithHistory returns those of the known queues that have a history, by name.
func (in *Inspector) QueuesWithHistory(ctx context.Context) (names []string, err error) {
	all, err := in.rdb.SMembers(ctx, in.ks.Queues()).Result()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	slices.Sort(all)
	pipe := in.rdb.Pipeline()
	found := make([]*redis.IntCmd, len(all))
	for i, name := range all {
		found[i] = pipe.Exists(ctx, in.ks.QueueHistory(name, redisdb.ClassRing))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	for i, name := range all {
		if found[i].Val() == 1 {
			names = append(names, name)
		}
	}
	return names, nil
}

// readRings reads the points of n slots up to the present one, of rings of one kind. Those of the
// last lap only: an older point in the place of a slot is left out.
func (in *Inspector) readRings(ctx context.Context, ring redisdb.Ring, n int,
	keys ...string) (now time.Time, found []track, err error) {
	if len(keys) == 0 {
		return now, nil, nil
	}
	n = min(n, ring.Slots)
	step := int64(ring.Step / time.Second)
	reply, err := in.db.Run(ctx, historyScript, keys, step, ring.Slots, n,
		redisdb.PointBytes).Slice()
	if err == nil && len(reply) != 2+2*len(keys) {
		err = errors.New("the script's reply has a wrong length")
	}
	if err != nil {
		return now, nil, fmt.Errorf("history: %w", err)
	}
	seconds, _ := reply[0].(int64)
	micros, _ := reply[1].(int64)
	now = time.Unix(seconds, micros*1000)
	last := seconds / step
	for i := range keys {
		t := track{ring: ring, last: last}
		for _, part := range reply[2+2*i : 4+2*i] {
			text, _ := part.(string)
			t.dots = append(t.dots, decodeDots(text, last-int64(n)+1, last)...)
		}
		found = append(found, t)
	}
	return now, found, nil
}

// track are the points of a ring, the oldest first.
type track struct {
	ring redisdb.Ring
	last int64 // the present slot
	dots []dot
}

// dot is a point as it is in Redis. Of a class, the four numbers are runs, failures, and the upper
// and lower half of the milliseconds.
type dot struct {
	slot    int64
	numbers [4]uint32 // of a queue: size, age in tenths of a second, out, left
}

// decodeDots decodes the points whose slots are from first to last. All other bytes are left out:
// slots that were never written, of an earlier lap, or of another program.
func decodeDots(text string, first, last int64) (dots []dot) {
	for ; len(text) >= redisdb.PointBytes; text = text[redisdb.PointBytes:] {
		b := []byte(text[:redisdb.PointBytes])
		d := dot{slot: int64(binary.BigEndian.Uint32(b))}
		for i := range d.numbers {
			d.numbers[i] = binary.BigEndian.Uint32(b[4+4*i:])
		}
		if d.slot >= first && d.slot <= last {
			dots = append(dots, d)
		}
	}
	return dots
}

// at is the beginning of a slot.
func (t *track) at(slot int64) time.Time {
	return time.Unix(slot*int64(t.ring.Step/time.Second), 0)
}

// came is how many jobs came into the queue between two points. The jobs that left are told from
// those that were removed: size and left change together when a worker takes a job or puts it back.
func came(from, to dot) int64 {
	return max(0, int64(to.numbers[0])-int64(from.numbers[0])+int64(int32(to.numbers[3])))
}

// queue returns the points of the last n slots. A point before them is only where the count of
// arrivals begins.
func (t *track) queue(n int) (points []Point) {
	for i, d := range t.dots {
		p := Point{At: t.at(d.slot), Size: int64(d.numbers[0]), Age: float64(d.numbers[1]) / 10,
			Out: int64(d.numbers[2])}
		if i > 0 {
			p.In = came(t.dots[i-1], d)
		}
		if d.slot > t.last-int64(n) {
			points = append(points, p)
		}
	}
	return points
}

// rate returns the rates between the first and the last point, without the present slot.
func (t *track) rate() (r Rate, ok bool) {
	dots := slices.DeleteFunc(slices.Clone(t.dots), func(d dot) bool { return d.slot == t.last })
	if len(dots) < 2 || dots[len(dots)-1].slot < t.last-3 {
		return r, false
	}
	for i, d := range dots[1:] {
		r.In += float64(came(dots[i], d))
		r.Out += float64(d.numbers[2])
	}
	seconds := float64(dots[len(dots)-1].slot-dots[0].slot) * t.ring.Step.Seconds()
	return Rate{In: r.In / seconds, Out: r.Out / seconds}, true
}
