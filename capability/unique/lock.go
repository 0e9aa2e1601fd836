package unique

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// Conflict says what a push does if another job holds the lock.
type Conflict string

// The conflicts. They concern locks that are taken at the push.
const (
	Drop    Conflict = ""        // the push returns "" as its JID, and no error
	Return  Conflict = "return"  // the push returns the JID of a job that holds the lock
	Refuse  Conflict = "refuse"  // the push returns a *HeldError
	Replace Conflict = "replace" // a job that is only scheduled is replaced; else as Drop
)

// HeldError says that a job was not pushed because another job holds its lock.
type HeldError struct {
	Digest string // of the lock
	Holder string // the JID of a job that holds it
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("push: not pushed: job %s holds the lock %s", e.Holder, e.Digest)
}

// Lock is the lock of the jobs of a class. Two jobs have the same lock if their classes, queues and
// arguments are the same. Ruby's clients compute their digests in other ways, so a job that Ruby
// pushes does not have the same lock as one that Go pushes.
type Lock struct {
	Kind Kind // UntilDone if empty
	// Args chooses the arguments that count; nil: all count.
	Args func(args []any) []any
	// Key, if it is not empty, counts instead of class and queue: classes with one Key share locks.
	Key string
	// For is how long the lock lasts at most, from the push on or, if the job is scheduled, from
	// when it is due. It is in whole seconds, rounded up. 0: as long as Kind says. UntilExpired
	// needs it.
	For        time.Duration
	Limit      int      // how many jobs may hold the lock at a time; 1 if 0
	OnConflict Conflict // Drop if empty
}

// check returns an error if the lock makes no sense.
func (l Lock) check() error {
	kind, known := parseKind(string(l.Kind))
	problem := ""
	switch {
	case l.Kind != "" && (!known || kind != l.Kind || kind == rejecting):
		problem = fmt.Sprintf("there is no kind %q", l.Kind)
	case kind == UntilExpired && l.For <= 0:
		problem = "until_expired needs a time: set For"
	case l.For < 0 || l.For > maxTTL:
		problem = fmt.Sprintf("For is %v: want 0 to 100 years", l.For)
	case l.Limit < 0 || l.Limit > math.MaxInt32:
		problem = fmt.Sprintf("Limit is %d: want 0 or more", l.Limit)
	case !slices.Contains([]Conflict{Drop, Return, Refuse, Replace}, l.OnConflict):
		problem = fmt.Sprintf("there is no conflict %q", l.OnConflict)
	case l.OnConflict == Replace && (l.Limit > 1 || (known && !kind.waits())):
		problem = "Replace needs a lock that one job holds while it waits"
	}
	if problem != "" {
		return &queue.InvalidError{Field: "lock", Reason: problem}
	}
	return nil
}

// lockContext is the key of the lock that With passes on.
type lockContext struct{}

// With returns a context whose pushes take lock, also if Client has another lock, or none, for
// their class.
func With(ctx context.Context, lock Lock) context.Context {
	return context.WithValue(ctx, lockContext{}, lock)
}

// Client returns a client middleware that gives the jobs of each class its lock. Its Store needs
// Capability. A wrong Lock is a *queue.InvalidError of each push of its class.
func Client(locks map[string]Lock) queue.ClientMiddleware {
	return func(ctx context.Context, j *queue.NewJob,
		next func(context.Context, *queue.NewJob) error) error {
		lock, ok := ctx.Value(lockContext{}).(Lock)
		if !ok {
			lock, ok = locks[j.Class]
		}
		if ok {
			if err := lock.put(j, time.Now()); err != nil {
				return err
			}
		}
		return next(ctx, j)
	}
}

// put adds the lock to a job that is pushed: the fields of its payload and, if the lock is taken at
// the push, the claim.
func (l Lock) put(j *queue.NewJob, now time.Time) error {
	if err := l.check(); err != nil {
		return err
	}
	chosen := j.Args
	if l.Args != nil {
		chosen = l.Args(slices.Clone(j.Args))
	}
	digest, err := l.digest(j, chosen)
	if err != nil {
		return &queue.InvalidError{Field: "lock_args", Reason: err.Error()}
	}
	h := held{kind: l.Kind, digest: digest, limit: max(l.Limit, 1), ttl: l.lasts(j.At, now)}
	if h.kind == "" {
		h.kind = UntilDone
	}
	if j.Extra == nil {
		j.Extra = map[string]any{}
	}
	h.describe(j.Extra, chosen)
	if h.kind.waits() {
		j.Claims = append(j.Claims, l.claim(h, j.JID))
	}
	return nil
}

// digest returns the name of the lock of a job. It has the prefix of Ruby's, and another form, so
// that it is never that of a job of Ruby's.
func (l Lock) digest(j *queue.NewJob, chosen []any) (string, error) {
	parts := []any{j.Class, j.Queue, chosen}
	if l.Key != "" {
		parts = []any{l.Key, chosen}
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return "uniquejobs:kyu:" + hex.EncodeToString(sum[:16]), nil
}

// lasts returns how long the lock lasts from now on, in whole seconds.
func (l Lock) lasts(at, now time.Time) time.Duration {
	if l.For <= 0 {
		return 0
	}
	d := l.For
	if at.After(now) {
		d += at.Sub(now)
	}
	return min(maxTTL, time.Duration(math.Ceil(d.Seconds()))*time.Second)
}

// describe writes the lock into the fields of a payload that sidekiq-unique-jobs reads.
func (h held) describe(extra map[string]any, chosen []any) {
	if chosen == nil {
		chosen = []any{}
	}
	extra["lock"], extra["lock_digest"], extra["lock_args"] = string(h.kind), h.digest, chosen
	extra["lock_prefix"], extra["lock_timeout"] = "uniquejobs", 0
	if !h.kind.waits() {
		extra["lock_digest"] = h.runtime() // as Ruby's client names it
	}
	if h.ttl > 0 {
		extra["lock_ttl"] = int64(h.ttl / time.Second)
	}
	if h.limit > 1 {
		extra["lock_limit"] = h.limit
	}
	if h.kind.runs() {
		extra["on_conflict"] = "reschedule" // Ruby would drop the job
	}
}

// claim returns the claim that takes the lock at the push.
func (l Lock) claim(h held, jid string) queue.Claim {
	op := "take"
	if l.OnConflict == Replace {
		op = "replace"
	}
	return queue.Claim{Effect: h.effect(op, h.digest, jid),
		Refused: func(holder string) (string, error) {
			switch l.OnConflict {
			case Return:
				return holder, nil
			case Refuse:
				return "", &HeldError{h.digest, holder}
			}
			return "", nil
		}}
}
