package queue

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// replicaTimeout is how long replicas may take to confirm a push.
const replicaTimeout = time.Second

// Client pushes jobs. It is safe for concurrent use.
type Client struct {
	backend    Backend
	middleware []ClientMiddleware
	timestamps Timestamps
	maxPayload int // bytes
}

// ClientMiddleware wraps the push of each job, also of each job of a bulk push. It may change the
// job, and it calls next to push it. If it does not call next, the job is not pushed, and its JID
// is returned as "". It runs again for a job that is pushed again. Args, Tags and Extra are copies
// that it may change, but not the values in them: a map among the arguments is the caller's.
type ClientMiddleware func(ctx context.Context, j *NewJob,
	next func(context.Context, *NewJob) error) error

// Backend stores pushed jobs. It is a Store, a Backend over several shards (Shards.Backend), or a
// fake in tests.
type Backend interface {
	// PushBatches stores the jobs of all batches, or none, except those whose claims are refused.
	// Over several shards this holds for the jobs of each shard; then it sets Pushed.Stored.
	PushBatches(ctx context.Context, batches []Batch) error
}

// Batch is a list of jobs for one queue.
type Batch struct {
	Queue      string // the schedule set if empty
	Jobs       []Pushed
	Idempotent bool // leave out jobs whose JIDs were pushed before, as Options.Idempotent says
	// Life is how long the markers of an idempotent batch are kept, in whole seconds. 0: an hour.
	Life time.Duration
	// Loose lets the jobs of an idempotent batch go to another shard, without markers, if their own
	// takes no jobs. It is for a caller that repeats a push after ErrUnknown only, and not after
	// ErrElsewhere.
	Loose bool
}

// Pushed is a job as it is stored.
type Pushed struct {
	JID     string
	Payload string
	At      time.Time // when it is due; zero for a job in a queue
	Claims  []Claim   // its conditions
	// Refused is set by PushBatches if the job was not stored because a claim was refused.
	Refused *Refusal
	// Stored is set by PushBatches if several shards have jobs of the call, and that of this job
	// has stored or refused it. If the call is repeated, the job is not pushed again.
	Stored bool

	at int // its index among the jobs of the push
}

// NewClient returns a client that pushes to b. The first middleware is the outermost.
func NewClient(b Backend, middleware ...ClientMiddleware) *Client {
	c := &Client{backend: b, middleware: middleware, timestamps: Float,
		maxPayload: DefaultMaxPayload}
	if f, ok := b.(Former); ok {
		form := f.Form()
		c.maxPayload = form.MaxPayload
		if form.Timestamps == Millis {
			c.timestamps = Millis
		}
	}
	return c
}

// Push pushes a job and returns its JID. If there is no error, the job is in Redis. If the error is
// ErrUnknown, the reply of Redis was lost, and the job may be in Redis. If the push had
// Options.Idempotent, it can be repeated with the returned JID. After any other error, such as an
// *InvalidError or a *TooLargeError, nothing was pushed. Push itself never repeats a push.
func (c *Client) Push(ctx context.Context, class string, args []any,
	o Options) (jid string, err error) {
	p := c.begin(class, o, 1)
	if err := p.add(ctx, args); err != nil {
		return "", err
	}
	if err = p.send(ctx, 1); err == nil {
		err = p.refusals()
	}
	return p.jids[0], err
}

// PushIn pushes a job that is due after d, or at once if d is not positive. It returns the JID and
// the errors of Push.
func (c *Client) PushIn(ctx context.Context, d time.Duration, class string, args []any,
	o Options) (string, error) {
	o.At = time.Now().Add(d)
	return c.Push(ctx, class, args, o)
}

// PushAt pushes a job that is due at t, or at once if t is past. It returns the JID and the errors
// of Push.
func (c *Client) PushAt(ctx context.Context, t time.Time, class string, args []any,
	o Options) (string, error) {
	o.At = t
	return c.Push(ctx, class, args, o)
}

// PushBulk pushes a job for each element of args, in order, in slices of at most 1,000 jobs (100
// scheduled ones) and 4 MiB. It returns the JIDs, with "" for each job that middleware did not
// push. After an error it returns the JIDs of the jobs that Redis has confirmed. Then the slice
// that failed was not pushed or, if the error is ErrUnknown, was pushed completely or not at all.
// Over several shards a slice whose jobs belong in different ones may be pushed in part, and the
// error is a *PartlyError.
// Errors of refused claims are joined after all other jobs were pushed. With a JID in o, more than
// one job is an *InvalidError.
func (c *Client) PushBulk(ctx context.Context, class string, args [][]any,
	o Options) (jids []string, err error) {
	if o.JID != "" && len(args) > 1 {
		return nil, &InvalidError{"jid", "one JID was given for several jobs"}
	}
	p := c.begin(class, o, len(args))
	for i := range args {
		if err := p.add(ctx, args[i]); err != nil {
			return p.jids[:p.confirmed], err
		}
	}
	if err := p.send(ctx, len(p.jids)); err != nil {
		return p.jids[:p.confirmed], err
	}
	return p.jids, p.refusals()
}

// PushBatches stores the jobs of all batches, or none, except those whose claims are refused, of
// which it sets Refused. Jobs of an idempotent batch that were pushed before are left out, and make
// no claims. The errors are those of Client.Push.
func (s *Store) PushBatches(ctx context.Context, batches []Batch) error {
	n := 0
	for i := range batches {
		n += 3 + 2*len(batches[i].Jobs)
	}
	keys, args := append(make([]string, 0, 2), s.ks.Queues()), make([]any, 0, n)
	for i := range batches {
		if len(batches[i].Jobs) > 0 {
			keys, args = s.destination(keys, args, &batches[i])
		}
	}
	if len(args) == 0 {
		return nil
	}
	items, err := s.claims(batches)
	if err != nil {
		return err
	}
	if items == nil {
		return s.push(ctx, pushScript, keys, args).Err()
	}
	keys, args = appendEffects(s.ks, keys, args, items)
	reply, err := s.push(ctx, s.effects.copies[pushScript], keys, args).Slice()
	if err != nil {
		return err
	}
	return refuse(batches, items, reply)
}

// push runs a push script and, if replicas must have the push, waits for them. The error of the
// command is one of Client.Push.
func (s *Store) push(ctx context.Context, script *redisdb.Script, keys []string,
	args []any) *redis.Cmd {
	if s.replicas > 0 {
		return s.pushAndWait(ctx, script, keys, args)
	}
	cmd := s.db.Run(ctx, script, keys, args...)
	if err := cmd.Err(); err != nil {
		cmd.SetErr(pushError(err))
	}
	return cmd
}

// destination appends a batch to the keys and arguments of a push.
func (s *Store) destination(keys []string, args []any, b *Batch) ([]string, []any) {
	dest, life := s.ks.Queue(b.Queue), 0
	if b.Queue == "" {
		dest = s.ks.Schedule()
	}
	if b.Idempotent {
		life = int(cmp.Or(b.Life, markerLife).Seconds())
	}
	keys, args = append(keys, dest), append(args, b.Queue, life, len(b.Jobs))
	for i := range b.Jobs {
		j := &b.Jobs[i]
		if b.Idempotent {
			keys = append(keys, s.ks.Pushed(j.JID))
		}
		if b.Queue == "" {
			args = append(args, envelope.Score(j.At))
		}
		args = append(args, &j.Payload)
	}
	return keys, args
}

// pushAndWait pushes, and waits until enough replicas have the push. Both go over one connection,
// because WAIT is about the writes of its own connection.
//
// If the slot of a cluster has moved, the connection led to a node that refused the push without
// running it. Then the push goes over another one.
func (s *Store) pushAndWait(ctx context.Context, script *redisdb.Script, keys []string,
	args []any) *redis.Cmd {
	cmd := s.pushAndWaitOnce(ctx, script, keys, args)
	if redisdb.Moved(cmd.Err()) {
		cmd = s.pushAndWaitOnce(ctx, script, keys, args)
	}
	return cmd
}

func (s *Store) pushAndWaitOnce(ctx context.Context, script *redisdb.Script, keys []string,
	args []any) *redis.Cmd {
	conn := s.db.Shared.Conn()
	defer conn.Close()
	cmd := s.db.RunOn(ctx, conn, script, keys, args...)
	if err := cmd.Err(); err != nil {
		cmd.SetErr(pushError(err))
		return cmd
	}
	n, err := conn.Wait(ctx, s.replicas, replicaTimeout).Result()
	switch {
	case err != nil: // whatever it is, the push has run
		cmd.SetErr(fmt.Errorf("push: %w (WAIT: %v)", ErrUnknown, err))
	case n < int64(s.replicas):
		cmd.SetErr(fmt.Errorf("push: %w: it is in Redis, but only %d of %d replicas confirmed it "+
			"within %v: a failover may lose it", ErrUnknown, n, s.replicas, replicaTimeout))
	}
	return cmd
}
