package database

import (
	"context"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// Fields of a job that say what a replica must have for it.
const (
	positionField = "wal_lsn" // the primary's position when the job was pushed
	stampedField  = "wal_at"  // when that was, in seconds since 1970
)

// unit is a unit of work: a job's run. What it knows decides where its reads go.
type unit struct {
	policy  Policy
	stamped time.Time // when the job's position was taken; zero if it carries none

	mu       sync.Mutex
	position Position // what a replica must have replayed; 0: not known yet
	wrote    bool     // reads stay on the primary
	fresh    bool     // position was taken after the last write
}

type unitKey struct{}

// Begin starts the unit of work of a job, for the context of its handler: by it
// reads that follow a write stay on the primary, and replicas are asked for what
// the job needs. Use it in a worker's middleware; j may be nil for work that is no
// job, such as a bulk push.
func (d *Database) Begin(ctx context.Context, j *queue.Job) context.Context {
	if d == nil {
		return ctx
	}
	u := &unit{policy: Sticky}
	if j != nil {
		class, _ := j.Unwrapped()
		if p, ok := d.config.Policies[class]; ok {
			u.policy = p
		}
		// What cannot be read counts as not there: the primary is asked then.
		u.position, _ = ParsePosition(j.String(positionField))
		u.stamped = j.Time(stampedField)
	}
	return context.WithValue(ctx, unitKey{}, u)
}

func unitOf(ctx context.Context) *unit {
	u, _ := ctx.Value(unitKey{}).(*unit)
	return u
}

// write notes that the unit is about to write.
func (u *unit) write() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wrote, u.fresh = true, false
}

// state is what decides where a read goes.
func (u *unit) state() (wrote bool, p Position) {
	if u == nil {
		return false, 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.wrote, u.position
}

// learn keeps a position that was taken from the primary.
func (u *unit) learn(p Position) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.position, u.fresh = max(u.position, p), true
}

// handOn is the position for a job that the unit pushes, if it is known: a unit
// that has not written hands on what it was given.
func (u *unit) handOn() (Position, bool) {
	if u == nil {
		return 0, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.position, u.position > 0 && (u.fresh || !u.wrote)
}

// Stamp puts the primary's position into pushed jobs, so that a replica is read
// for them only when it has what was written before the push. A job that is pushed
// while Postgres does not answer goes without: its worker asks then.
func (d *Database) Stamp() queue.ClientMiddleware {
	return func(ctx context.Context, j *queue.NewJob, next func(context.Context,
		*queue.NewJob) error) error {
		if d == nil {
			return next(ctx, j)
		}
		u := unitOf(ctx)
		p, known := u.handOn()
		if !known {
			var err error
			if p, err = d.position(ctx); err != nil {
				return next(ctx, j)
			}
			u.learn(p)
		}
		extra := make(map[string]any, len(j.Extra)+2) // of a bulk push all jobs share one
		for key, value := range j.Extra {
			extra[key] = value
		}
		extra[positionField] = p.String()
		extra[stampedField] = float64(time.Now().UnixMilli()) / 1000
		j.Extra = extra
		return next(ctx, j)
	}
}
