package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// moveStep is called before a mover's calls and after their replies. Tests set it, to let the mover
// die there.
var moveStep func(step string)

func step(name string) {
	if moveStep != nil {
		moveStep(name)
	}
}

// operationInQueue says that jobs of a queue stay, because a bulk operation goes through it.
type operationInQueue struct{ queue string }

func (e operationInQueue) Error() string {
	return fmt.Sprintf("a bulk operation goes through the queue %s: wait for its end, or cancel "+
		"it (workerctl operations)", e.queue)
}

// lift takes jobs of one place out of it, and returns those that it took, with their ids. list has
// the jobs of a queue in the order in which they are taken.
func (s *Store) lift(ctx context.Context, place string, list []moving) (taken []moving, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	kind := kindOfPlace(place)
	if kind == "list" {
		kind += " " + list[0].name()
	}
	page := newMovingPage()
	keys, args := []string{s.ks.Key(place), s.ks.Moving(), s.ks.Sifts()}, []any{kind}
	for i := range list {
		list[i].id = fmt.Sprintf("%s.%d", page, i)
		args = append(args, list[i].raw, list[i].id, list[i].way())
	}
	var codes []any
	step("lift_before")
	err = s.replicated(ctx, func(c redis.Scripter) (err error) {
		codes, err = s.db.RunOn(ctx, c, liftScript, keys, args...).Slice()
		return err
	})
	step("lift_after")
	switch {
	case err != nil:
		return nil, fmt.Errorf("move from %s: %w", place, err)
	case codes[0] == int64(-1):
		return nil, s.wrongTypes(ctx, map[string]string{keys[0]: kindOfPlace(place),
			keys[1]: "hash"}, len(list))
	case codes[0] == int64(-2):
		return nil, operationInQueue{list[0].name()}
	}
	for i, code := range codes {
		if score, ok := code.(string); ok {
			list[i].score = score
			taken = append(taken, list[i])
		}
	}
	return taken, nil
}

// replicated runs a script, and waits until enough replicas have what it has written: a failover
// must not bring a job back to one shard that is in another one already, nor lose one here that the
// other has forgotten.
func (s *Store) replicated(ctx context.Context, run func(redis.Scripter) error) error {
	if s.replicas == 0 {
		return run(s.db.Shared)
	}
	conn := s.db.Shared.Conn()
	defer conn.Close()
	if err := run(conn); err != nil {
		return err
	}
	n, err := conn.Wait(ctx, s.replicas, replicaTimeout).Result()
	if err == nil && n < int64(s.replicas) {
		err = fmt.Errorf("only %d of %d replicas confirmed it within %v: it is tried again", n,
			s.replicas, replicaTimeout)
	}
	return err
}

// position is where an iterable job goes on, as the hash it-JID has it.
type position struct {
	fields  []any
	expires int64 // milliseconds since 1970; 0: never
}

// maxPositionWords bounds a position. Sidekiq and Kyu write eight words.
const maxPositionWords = 200

// readPositions sets the positions of jobs.
func (s *Store) readPositions(ctx context.Context, list []moving) error {
	pipe := s.db.Shared.Pipeline()
	hashes := make([]*redis.MapStringStringCmd, len(list))
	ends := make([]*redis.DurationCmd, len(list))
	for i := range list {
		if jid := list[i].jid(); jid != "" {
			hashes[i] = pipe.HGetAll(ctx, s.ks.Iteration(jid))
			ends[i] = pipe.PExpireTime(ctx, s.ks.Iteration(jid))
		}
	}
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !redisdb.IsWrongType(err) {
		return fmt.Errorf("positions of iterable jobs: %w", err)
	}
	for i := range list {
		if hashes[i] == nil {
			continue
		}
		if p := newPosition(hashes[i].Val(), ends[i].Val()); len(p.fields) <= maxPositionWords {
			list[i].position = p
		}
	}
	return nil
}

func newPosition(fields map[string]string, expires time.Duration) (p position) {
	for field, value := range fields {
		p.fields = append(p.fields, field, value)
	}
	p.expires = max(0, expires.Milliseconds())
	return p
}

// landing is a call that puts jobs into a shard.
type landing struct {
	ks      redisdb.Keyspace
	keys    []string
	args    []any
	indexes map[string]int
	items   [][]Effect
}

func newLanding(ks redisdb.Keyspace) *landing {
	return &landing{ks: ks, keys: []string{ks.Queues(), ks.Held()},
		args: []any{int(MovedFor.Seconds())}, indexes: map[string]int{}}
}

// index returns the index of a key among the keys of the call.
func (l *landing) index(key string) int {
	if l.indexes[key] == 0 {
		l.keys = append(l.keys, key)
		l.indexes[key] = len(l.keys)
	}
	return l.indexes[key]
}

// add adds a job.
func (l *landing) add(m *moving, effects []Effect) {
	page, number, _ := splitMovingID(m.id)
	at, p := 0, m.position
	if len(p.fields) > 0 {
		at = l.index(l.ks.Iteration(m.jid()))
	}
	l.args = append(l.args, l.index(l.ks.Moved(page)), number, l.index(l.ks.Key(m.place)), m.kind(),
		m.name(), m.score, m.raw, at, p.expires, len(p.fields))
	l.args = append(l.args, p.fields...)
	l.items = append(l.items, effects)
}

// land puts jobs that are in kyu:moving of the shard from into this one. It returns those that are
// there now, or were before, and what went wrong with their locks. The error concerns the others.
func (s *Store) land(ctx context.Context, from *Store, list []moving,
	held []Carried) (there []moving, failed EffectsError, err error) {
	if err := from.readPositions(ctx, list); err != nil {
		return nil, failed, err
	}
	l := newLanding(s.ks)
	for i := range list {
		l.add(&list[i], held[i].Land)
	}
	var codes []int64
	var why []string
	step("land_before")
	err = s.replicated(ctx, func(c redis.Scripter) (err error) {
		codes, why, err = s.runEffects(ctx, c, landScript, l.keys, l.args, l.items)
		return err
	})
	step("land_after")
	if err != nil {
		return nil, failed, fmt.Errorf("move: %w", err)
	}
	places, stay := map[string]string{}, 0
	for i, code := range codes {
		if code < 0 {
			stay++
			places[s.ks.Key(list[i].place)] = list[i].kind()
			places[s.ks.Queues()], places[s.ks.Held()] = "set", "set"
			page, _, _ := splitMovingID(list[i].id)
			places[s.ks.Moved(page)] = "string"
			if list[i].position.fields != nil {
				places[s.ks.Iteration(list[i].jid())] = "hash"
			}
			continue
		}
		there = append(there, list[i])
		if why[i] != "" {
			failed.add(why[i])
		}
	}
	if stay > 0 {
		err = s.wrongTypes(ctx, places, stay)
	}
	return there, failed, err
}

// drop forgets jobs that are in another shard, and releases what they held here. It returns how
// many it dropped.
func (s *Store) drop(ctx context.Context, list []moving, held []Carried) (n int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	keys, args, items := []string{s.ks.Moving()}, []any{}, [][]Effect{}
	for i := range list {
		at := 0
		if len(list[i].position.fields) > 0 {
			keys = append(keys, s.ks.Iteration(list[i].jid()))
			at = len(keys)
		}
		args, items = append(args, list[i].id, at), append(items, held[i].Drop)
	}
	step("drop_before")
	codes, _, err := s.runEffects(ctx, s.db.Shared, moveDropScript, keys, args, items)
	step("drop_after")
	if err != nil {
		return 0, fmt.Errorf("move: %w", err)
	}
	for _, code := range codes {
		n += int(code)
	}
	return n, nil
}

// movingPage reads a page of kyu:moving, in the order in which the jobs were taken. The error names
// an entry that cannot be read; it stays.
func (s *Store) movingPage(ctx context.Context, cursor uint64) (list []moving, next uint64,
	err error) {
	flat, next, err := s.db.Shared.HScan(ctx, s.ks.Moving(), cursor, "", 100).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", s.ks.Moving(), err)
	}
	var bad []string
	for i := 0; i+1 < len(flat); i += 2 {
		m, problem := parseMoving(flat[i], flat[i+1])
		if problem != nil {
			bad = append(bad, flat[i])
			continue
		}
		list = append(list, m)
	}
	if len(bad) > 0 {
		err = fmt.Errorf("%w Its id: %s", errMoving, strings.Join(bad, ", "))
	}
	sortMoving(list)
	return slices.CompactFunc(list, func(a, b moving) bool { return a.id == b.id }), next, err
}
