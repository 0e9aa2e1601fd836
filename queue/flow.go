package queue

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
)

const (
	// MaxHistoryQueues is the most queues that one FlushHistory takes.
	MaxHistoryQueues = 16
	// MaxHistoryRuns is the most classes that one FlushRuns takes.
	MaxHistoryRuns = 64
	// MaxHistoryClasses is how many classes may have a history at once. It takes 192 KiB of Redis's
	// memory for each.
	MaxHistoryClasses = 250
)

// Flow is what a process did with the jobs of a queue since its last flush. It is for package
// worker.
type Flow struct {
	Queue string
	Out   int64 // jobs that were settled and did not go back unchanged
	// Left is by how much jobs that the process took exceed those that it put back. It differs from
	// Out by the jobs in flight.
	Left int64
}

// Flush names a flush of history. A flush that is repeated with the same Field and Number, because
// its reply was lost, counts once. It is for package worker.
type Flush struct {
	Field  string // tells apart the flushes that count on their own, such as those of other queues
	Number uint64 // differs from that of the flush before
}

// field is the field of the owner's record with the number.
func (f Flush) field() string { return "history:" + f.Field }

// FlushHistory adds to the rings of at most MaxHistoryQueues queues, and writes how many jobs wait,
// with those that the Store's source keeps. The first flush of a slot also writes the age of the
// oldest job. now is Redis's time. broken are the queues with a ring of a wrong type, whose other
// rings are written. ok is false if the owner has no record any more: nothing is written then.
// After an error of Redis nothing is written either; after any other error it may have been.
func (o *Owner) FlushHistory(ctx context.Context, f Flush,
	flows []Flow) (now time.Time, broken []string, ok bool, err error) {
	ks := o.store.ks
	keys := []string{ks.Owner(o.Identity)}
	args := []any{f.field(), f.Number, len(redisdb.QueueRings), envelope.WholeBytes,
		envelope.HeadBytes, envelope.TailBytes, len(o.store.countKeys(""))}
	args = append(args, ringArgs()...)
	for _, flow := range flows {
		keys = append(append(keys, ks.Queue(flow.Queue)), o.store.countKeys(flow.Queue)...)
		keys = append(keys, o.store.rings(flow.Queue)...)
		args = append(args, flow.Out, flow.Left)
	}
	reply, err := o.store.db.RunOwn(ctx, historyScript, keys, args...).Slice()
	if err != nil {
		return now, nil, false, fmt.Errorf("history: %w", err)
	}
	seconds, _ := reply[0].(int64)
	micros, _ := reply[1].(int64)
	now = time.Unix(seconds, micros*1000)
	ages := map[string]int64{}
	for i, one := range reply[2:] {
		switch v := one.(type) {
		case int64:
			if v == 0 {
				broken = append(broken, flows[i].Queue)
			}
		case []any:
			if age := oldestAge(v, time.Now()); age > 0 {
				ages[flows[i].Queue] = age
			}
		}
	}
	// A point without its age is no reason to send the flush again.
	_ = o.store.writeAges(ctx, seconds, ages)
	return now, broken, len(reply) > 2, nil
}

// oldestAge returns the age of a job in tenths of a second. parts are its payload, or its head and
// its tail. Bytes that are no job have no age.
func oldestAge(parts []any, now time.Time) int64 {
	return min(waited(parts, now).Milliseconds()/100, math.MaxUint32)
}

// writeAges writes the ages of oldest jobs into the points that were written at a time.
func (s *Store) writeAges(ctx context.Context, seconds int64, ages map[string]int64) error {
	if len(ages) == 0 {
		return nil
	}
	var keys []string
	args := append([]any{seconds, len(redisdb.QueueRings)}, ringArgs()...)
	for name, age := range ages {
		keys = append(keys, s.rings(name)...)
		args = append(args, age)
	}
	return s.db.RunOwn(ctx, historyAgeScript, keys, args...).Err()
}

// rings returns the keys of a queue's rings.
func (s *Store) rings(queue string) (keys []string) {
	for _, r := range redisdb.QueueRings {
		keys = append(keys, s.ks.QueueHistory(queue, r))
	}
	return keys
}

// ringArgs describes the rings to a script.
func ringArgs() (args []any) {
	for _, r := range redisdb.QueueRings {
		args = append(args, int(r.Step.Seconds()), r.Slots)
	}
	return args
}

// FlushRuns adds the runs of at most MaxHistoryRuns classes to their rings. without counts the
// classes that have none, because MaxHistoryClasses others have one, and broken those whose key has
// a wrong type. Their runs are lost. If the owner has no record any more, nothing is written, and
// there is no error. After an error of Redis nothing is written either; after any other error it
// may have been.
func (o *Owner) FlushRuns(ctx context.Context, f Flush,
	byClass map[string]*ClassMetrics) (without, broken int, err error) {
	ks, ring := o.store.ks, redisdb.ClassRing
	keys := []string{ks.Owner(o.Identity), ks.HistoryClasses()}
	args := []any{f.field(), f.Number, int(ring.Step.Seconds()), ring.Slots, MaxHistoryClasses}
	for class, m := range byClass {
		keys = append(keys, ks.ClassHistory(class))
		args = append(args, class, m.Processed, m.Failed, strconv.FormatInt(m.Millis, 10))
	}
	reply, err := o.store.db.RunOwn(ctx, historyClassScript, keys, args...).Int64Slice()
	if err != nil {
		return 0, 0, fmt.Errorf("history: %w", err)
	}
	if len(reply) < 2 {
		return 0, 0, nil
	}
	return int(reply[0]), int(reply[1]), nil
}
