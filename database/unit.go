package database

import (
	"context"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// Fields of a job that hold what a replica must have replayed for it.
const (
	positionField = "wal_lsn" // the primary's position when the job was pushed
	stampedField  = "wal_at"  // when that was, in seconds since 1970
)

// unit is a unit of work: a job's run. It decides where the job's reads go.
type unit struct {
	policy  Policy
	stamped time.Time // when the job's position was read; zero if it carries none

	// The handler and the goroutines that it starts read and write these fields, under mu.
	mu       sync.Mutex
	position Position // what a replica must have replayed; 0: not known yet
	wrote    bool     // it has written: reads stay on the primary
	fresh    bool     // position was read after the last write
}

type unitKey struct{}

// Begin returns a context for the handler of a job: with it, reads after a write stay on
// the primary, and a replica must have replayed what the job needs. Call it in a worker's
// middleware. j is nil for work outside of a job, such as a bulk push.
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
		// A position that cannot be parsed counts as none.
		u.position, _ = ParsePosition(j.String(positionField))
		u.stamped = j.Time(stampedField)
	}
	return context.WithValue(ctx, unitKey{}, u)
}

func unitOf(ctx context.Context) *unit {
	u, _ := ctx.Value(unitKey{}).(*unit)
	return u
}

// write records that the unit writes. u may be nil.
func (u *unit) write() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.wrote, u.fresh = true, false
}

// state returns what decides where a read goes.
func (u *unit) state() (wrote bool, p Position) {
	if u == nil {
		return false, 0
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.wrote, u.position
}

// learn keeps a position that was read from the primary.
func (u *unit) learn(p Position) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.position, u.fresh = max(u.position, p), true
}

// handOn returns the position for a job that the unit pushes, if it is known. A unit that
// has not written passes on its own job's position.
func (u *unit) handOn() (Position, bool) {
	if u == nil {
		return 0, false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.position, u.position > 0 && (u.fresh || !u.wrote)
}

// Stamp returns a middleware that puts the primary's log position into pushed jobs, in the
// fields wal_lsn and wal_at. A replica then answers the job's reads only if it has replayed
// everything that was written before the push. A job that is pushed while Postgres does not
// answer gets no position: its worker then reads the primary's own.
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
		extra := make(map[string]any, len(j.Extra)+2) // a copy: jobs of a bulk push share a map
		for key, value := range j.Extra {
			extra[key] = value
		}
		extra[positionField] = p.String()
		extra[stampedField] = float64(time.Now().UnixMilli()) / 1000
		j.Extra = extra
		return next(ctx, j)
	}
}
