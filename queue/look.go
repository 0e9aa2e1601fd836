package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// Look returns how many jobs the lists of queues hold, and takes none. sources are the indexes of
// the queues whose jobs a Source keeps: the keys that say that one of these may run count too.
// A queue whose key has a wrong type counts as empty.
func (s *Store) Look(ctx context.Context, queues []string, sources []int) ([]int, error) {
	pipe := s.db.Own.Pipeline()
	read := s.look(ctx, pipe, queues, sources)
	if _, err := pipe.Exec(ctx); err != nil && !redisdb.IsWrongType(err) {
		return nil, fmt.Errorf("look: %w", err)
	}
	return read(), nil
}

// look adds the commands of a Look to a pipeline. read returns the lengths after its end.
func (s *Store) look(ctx context.Context, pipe redis.Pipeliner, queues []string,
	sources []int) (read func() []int) {
	lists, ready := make([]*redis.IntCmd, len(queues)), make([]*redis.IntCmd, len(sources))
	for i, name := range queues {
		lists[i] = pipe.LLen(ctx, s.ks.Queue(name))
	}
	for i, q := range sources {
		ready[i] = pipe.Exists(ctx, s.waits(queues[q:q+1])...)
	}
	return func() []int {
		lengths := make([]int, len(queues))
		for i, cmd := range lists {
			lengths[i] = int(cmd.Val())
		}
		for i, cmd := range ready {
			lengths[sources[i]] += int(cmd.Val())
		}
		return lengths
	}
}

// FetchAndLook is Fetch with a Look behind it, in one round trip. sources are those of the Look.
// lengths is nil if they are not known.
func (o *Owner) FetchAndLook(ctx context.Context, r FetchRequest,
	sources []int) (f Fetched, lengths []int, err error) {
	script, keys, args := o.fetchCall(&r)
	pipe := o.store.db.Own.Pipeline()
	call := o.store.db.Queue(ctx, pipe, script, keys, args...)
	read := o.store.look(ctx, pipe, r.Queues, sources)
	_, err = pipe.Exec(ctx)
	if redis.HasErrorPrefix(call.Err(), "NOSCRIPT") { // a new server: it has not run
		f, err = o.Fetch(ctx, r)
		return f, nil, err
	}
	if err == nil || redisdb.Answered(err) {
		lengths = read()
	}
	reply, err := call.Slice()
	f, err = o.fetched(&r, reply, err)
	if err != nil && !errors.Is(err, ErrLeaseLost) {
		lengths = nil
	}
	return f, lengths, err
}
