package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

const (
	// markerLife is how long a row that was pushed may stay, because Postgres does not answer,
	// before another push would store its job a second time.
	markerLife = 24 * time.Hour
	// markerAfter is how long the marker is kept after the row is gone: a failover of Postgres may
	// bring it back, and a command that was given up may still be on its way to Redis.
	markerAfter = 5 * time.Minute
	// idempotentAfter is how long an idempotent push is remembered, as queue.Options says.
	idempotentAfter = time.Hour
)

// push pushes the jobs of rows. An error means that Redis does not answer, or takes no jobs now:
// some of the jobs may be in Redis, and are pushed again without effect. If this is so for one of
// several shards, the error is in moved.stuck, and the rows of the other shards are moved.
func (r *Relay) push(ctx context.Context, rows []row) (m moved, err error) {
	now := time.Now()
	ids := map[string][]int64{} // by place
	var batches []queue.Batch
	at := map[string]int{} // the index of a place among batches
	for i := range rows {
		j, err := rows[i].job(now)
		if err != nil {
			m.keepAside(rows[i].id, err)
			continue
		}
		k, ok := at[j.place]
		if !ok {
			k = len(batches)
			at[j.place] = k
			batches = append(batches, queue.Batch{Queue: j.place, Idempotent: true,
				Life: markerLife})
		}
		if rows[i].idempotent {
			m.idempotent = append(m.idempotent, j.marker)
		} else {
			m.markers = append(m.markers, j.marker)
		}
		j.Pushed.JID = j.marker // the push uses it for the marker only
		batches[k].Jobs = append(batches[k].Jobs, j.Pushed)
		ids[j.place] = append(ids[j.place], rows[i].id)
	}
	return m, r.send(ctx, batches, ids, &m)
}

// send sends all batches at once or, if Redis refuses one for itself, each alone.
func (r *Relay) send(ctx context.Context, batches []queue.Batch, ids map[string][]int64,
	m *moved) error {
	err := r.Store.PushBatches(ctx, batches)
	if err != nil && !redisdb.Rejected(err) {
		some := m.addStored(batches, ids)
		if b, sharded := r.Store.(interface{ Serving() bool }); some || sharded && b.Serving() {
			m.stuck = err
			return nil
		}
		return err
	}
	for i := range batches {
		place := batches[i].Queue
		if err != nil {
			alone := r.Store.PushBatches(ctx, batches[i:i+1])
			if alone != nil && !redisdb.Rejected(alone) {
				return alone
			}
			if alone != nil {
				for _, id := range ids[place] {
					m.keepAside(id, fmt.Errorf("its place is refused: %w", alone))
				}
				continue
			}
		}
		m.ids = append(m.ids, ids[place]...)
	}
	return nil
}

// addStored adds the rows whose jobs one of several shards has stored, and reports whether there
// are some.
func (m *moved) addStored(batches []queue.Batch, ids map[string][]int64) (some bool) {
	for i := range batches {
		for k := range batches[i].Jobs {
			if batches[i].Jobs[k].Stored {
				m.ids, some = append(m.ids, ids[batches[i].Queue][k]), true
			}
		}
	}
	return some
}
