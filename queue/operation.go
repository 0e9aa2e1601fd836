package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// Verb says what a bulk operation does to the jobs that it chooses.
type Verb string

const (
	VerbDelete  Verb = "delete"  // move them to the trash, which keeps them for TrashFor
	VerbForget  Verb = "forget"  // delete them without the trash
	VerbKill    Verb = "kill"    // move them to the dead set
	VerbRetry   Verb = "retry"   // move them to their queues, and give each an attempt back
	VerbRequeue Verb = "requeue" // move them to their queues, without an attempt back
	VerbMove    Verb = "move"    // to another queue; in a set, they stay and go to it when due
)

const (
	// TrashFor is how long deleted jobs can be restored.
	TrashFor = 24 * time.Hour
	// TicketFor is how long an operation is its caller's after each page. If the caller dies,
	// anybody may go on with it after this time.
	TicketFor = 5 * time.Second
	// OperationsFor is how long the records of operations are kept.
	OperationsFor = 7 * 24 * time.Hour
	// operationPage is the most jobs that one call changes, if they have no effects. Redis needs
	// about 1 ms for it.
	operationPage = 250
)

// The states of operations.
const (
	StateRunning     = "running"     // a process carries it out
	StateInterrupted = "interrupted" // its process has stopped: anybody may go on with it
	StateCancelled   = "cancelled"
	StateFailed      = "failed"
	StateDone        = "done"
)

// OperationError says that an operation cannot go on. State is StateCancelled; "taken" if another
// process carries it out; "gone" if there is no record of it; or "waits" if the operation Other
// goes through the queue.
type OperationError struct{ State, Other string }

func (e *OperationError) Error() string {
	switch e.State {
	case "taken":
		return "the operation is carried out by another process"
	case "gone":
		return "there is no record of the operation"
	case "waits":
		return "the operation " + e.Other + " goes through the queue: wait for its end, or " +
			"cancel it"
	default:
		return "the operation was " + e.State
	}
}

// ticketError returns the *OperationError that a script's reply means, else err.
func ticketError(err error) error {
	if err == nil || !redis.HasErrorPrefix(err, "OPERATION") {
		return err
	}
	var reply redis.Error
	errors.As(err, &reply)
	words := strings.Fields(reply.Error()) // OPERATION taken, OPERATION waits for ID
	stop := &OperationError{State: words[1]}
	if len(words) > 3 {
		stop.Other = words[3]
	}
	return stop
}

// Ticket is a caller's right to carry out a bulk operation, and how far the operation is. It is for
// one goroutine.
type Ticket struct {
	ID, Token     string
	Seen, Matched int // jobs that were looked at, and chosen
}

func (t *Ticket) args() []any {
	return []any{t.Token, TicketFor.Milliseconds(), t.Seen, t.Matched}
}

// Take makes an operation the ticket's for TicketFor, unless another process carries it out. It
// returns its state before.
func (s *Store) Take(ctx context.Context, t *Ticket) (state string, err error) {
	return s.ticket(ctx, t, "take", "", nil)
}

// End notes that the ticket's caller does no more: state is StateDone, StateFailed or
// StateInterrupted. problem says what was wrong, and may be nil.
func (s *Store) End(ctx context.Context, t *Ticket, state string, problem error) error {
	_, err := s.ticket(ctx, t, "end", state, problem)
	return err
}

// Cancel makes an operation stop before its next page. What it has changed stays changed. It
// returns its state before.
func (s *Store) Cancel(ctx context.Context, id string) (state string, err error) {
	return s.ticket(ctx, &Ticket{ID: id}, "cancel", "", nil)
}

func (s *Store) ticket(ctx context.Context, t *Ticket, step, end string,
	problem error) (state string, err error) {
	text := ""
	if problem != nil {
		text = problem.Error()
	}
	state, err = s.db.Run(ctx, ticketScript, []string{s.ks.Operation(t.ID)}, step, t.Token,
		TicketFor.Milliseconds(), end, text, int(OperationsFor.Seconds()), t.Seen,
		t.Matched).Text()
	if err == nil && (state == "taken" || state == "gone") {
		err = &OperationError{State: state}
	}
	if err != nil {
		err = fmt.Errorf("operation %s: %w", t.ID, err)
	}
	return state, err
}

// Operate carries out a page of an operation: verb on entries of the set. to is the queue of
// VerbMove. It returns how many entries it found in the set. A page may be repeated: an entry is
// changed once. Without entries it only notes how far the operation is. The error may be a
// *WrongTypeError or an *EffectsError, which concern single jobs, or an *OperationError.
func (js *JobSet) Operate(ctx context.Context, t *Ticket, verb Verb, to string,
	list []Entry) (int, error) {
	p := &operationPart{store: js.store, ticket: t, verb: verb, now: time.Now(), kind: "zset"}
	var members []operand
	for _, e := range list {
		if o, ok := p.operand(js.name, e, to); ok {
			members = append(members, o)
		}
	}
	if len(list) > 0 && len(members) == 0 {
		return 0, nil
	}
	err := p.pages(members, func(page []operand, items [][]Effect) ([]int64, []string, error) {
		return js.operatePage(ctx, p, page, items)
	})
	return p.changed, js.wrap(p.error(ctx, err, js.Key()))
}

// operand is a job that an operation changes.
type operand struct {
	raw     string
	payload string // its new bytes; "" if they are the same
	queue   string // to which it goes, if it goes to one
	stays   bool   // it is sifted, and not chosen
	problem string // errors of capabilities
	effects []Effect
}

// operationPart is the carrying out of a part of an operation.
type operationPart struct {
	store   *Store
	ticket  *Ticket
	verb    Verb
	now     time.Time
	kind    string // of the key where the jobs are, and of the trash: zset or list
	changed int
	stayed  int               // jobs that stay because a key has a wrong type
	places  map[string]string // the keys to which they would go, and the types that these need
	failed  EffectsError
}

// error returns the error of the part: err, or the jobs that stay, or the effects that failed. key
// is where the jobs were.
func (p *operationPart) error(ctx context.Context, err error, key string) error {
	if err == nil && p.stayed > 0 {
		p.places[key] = p.kind
		err = p.store.wrongTypes(ctx, p.places, p.stayed)
	}
	return p.failed.unless(err)
}

// operand returns what becomes of an entry of a set. ok is false if it stays: retries need a job.
func (p *operationPart) operand(set string, e Entry, to string) (o operand, ok bool) {
	o = operand{raw: e.Raw}
	switch p.verb {
	case VerbRetry, VerbRequeue:
		if e.Job == nil {
			return o, false
		}
		o.queue = cmp.Or(e.Job.Queue, "default")
		if p.verb == VerbRetry {
			o.payload = p.store.retriedByHand(e.Job, p.now)
		} else {
			o.payload = p.store.Enqueued(e.Job, p.now)
		}
	case VerbMove:
		if e.Job == nil || e.Job.Queue == to {
			return o, false
		}
		o.payload = inQueue(e.Job, to)
	default:
		if p.verb == VerbKill && set == redisdb.KeyDead {
			return o, false
		}
		p.remove(&o, e.Job)
	}
	return o, true
}

// remove sets what the removal of a job needs.
func (p *operationPart) remove(o *operand, j *Job) {
	event := EventDelete
	if p.verb == VerbKill {
		event = EventDead
		o.payload = envelope.ForDeadSet(o.raw)
	}
	o.effects, o.problem = p.store.effectsOf(j, event)
}

// inQueue returns a job's payload with another queue.
func inQueue(j *Job, queue string) string {
	var patch envelope.Patch
	patch.SetString("queue", queue)
	return patch.Apply(j)
}

// pages calls carry with pages of jobs of limited count, bytes and effects, at least once.
func (p *operationPart) pages(list []operand,
	carry func([]operand, [][]Effect) ([]int64, []string, error)) error {
	for first := true; first || len(list) > 0; first = false {
		n, bytes, withEffects := 0, 0, 0
		for n < len(list) && n < operationPage && bytes < redisdb.PageBytes &&
			withEffects < MaxEffectItems {
			bytes += len(list[n].raw) + len(list[n].payload)
			if len(list[n].effects) > 0 {
				withEffects++
			}
			n++
		}
		if err := p.page(list[:n], carry); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// page carries out one page. If Redis forbids a key of an effect, the page is halved until the job
// with that effect is alone.
func (p *operationPart) page(list []operand,
	carry func([]operand, [][]Effect) ([]int64, []string, error)) error {
	items := make([][]Effect, len(list))
	for i := range list {
		items[i] = list[i].effects
	}
	codes, failed, err := carry(list, items)
	if half := len(list) / 2; half > 0 && redisdb.ForbidsKey(err) {
		if err := p.page(list[:half], carry); err != nil {
			return err
		}
		return p.page(list[half:], carry)
	}
	if err != nil {
		return ticketError(err)
	}
	for i, code := range codes {
		switch {
		case code == int64(Refused):
			p.stay(list[i])
		case code > 0:
			p.changed++
			if reason := list[i].problem + failed[i]; reason != "" {
				p.failed.add(reason)
			}
		}
	}
	return nil
}

// stay notes a job that stays, and the keys to which it would go.
func (p *operationPart) stay(o operand) {
	p.stayed++
	if p.places == nil {
		p.places = map[string]string{}
	}
	ks := p.store.ks
	if o.queue != "" || p.kind == "list" {
		p.places[ks.Queues()] = "set"
	}
	switch {
	case o.queue != "":
		p.places[ks.Queue(o.queue)] = "list"
	case p.verb == VerbKill:
		p.places[ks.Dead()] = "zset"
	case p.verb == VerbDelete:
		p.places[ks.Trash(p.ticket.ID)] = p.kind
	}
}

// verbs are the names of the verbs in operateScript.
var verbs = map[Verb]string{VerbDelete: "delete", VerbForget: "forget", VerbKill: "kill",
	VerbRetry: "queue", VerbRequeue: "queue", VerbMove: "rewrite"}

func (js *JobSet) operatePage(ctx context.Context, p *operationPart, page []operand,
	items [][]Effect) ([]int64, []string, error) {
	s := p.store
	keys := []string{s.ks.Operation(p.ticket.ID), js.Key(), s.ks.Queues(), s.ks.Dead(),
		s.ks.Trash(p.ticket.ID)}
	args := append(p.ticket.args(), verbs[p.verb], envelope.Score(p.now),
		envelope.Score(p.now.Add(-s.deadLimits.age)), s.deadLimits.max, s.ks.QueuePrefixLen(),
		int(TrashFor.Seconds()))
	lists := map[string]int{}
	for _, o := range page {
		list := any("")
		if o.queue != "" {
			if lists[o.queue] == 0 {
				keys = append(keys, s.ks.Queue(o.queue))
				lists[o.queue] = len(lists) + 1
			}
			list = lists[o.queue]
		}
		args = append(args, o.raw, o.payload, list)
	}
	return s.runEffects(ctx, js.rdb, operateScript, keys, args, items)
}

// Restore puts jobs that an operation deleted back, a page at a time: to the set with that name, or
// to a queue. It returns how many it put back, and how many are left.
func (s *Store) Restore(ctx context.Context, id, set, queue string) (n, left int, err error) {
	to := s.ks.Key(set)
	if queue != "" {
		to = s.ks.Queue(queue)
	}
	reply, err := s.db.Run(ctx, restoreScript, []string{s.ks.Trash(id), to, s.ks.Queues()}, queue,
		operationPage, redisdb.PageBytes).Int64Slice()
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("undo %s: %w", id, err)
	case len(reply) == 0:
		return 0, 0, errors.New("undo " + id + ": the reply of Redis is empty")
	case reply[0] < 0:
		places := map[string]string{to: "zset", s.ks.Trash(id): "zset"}
		if queue != "" {
			places = map[string]string{to: "list", s.ks.Trash(id): "list", s.ks.Queues(): "set"}
		}
		return 0, 0, fmt.Errorf("undo %s: %w", id, s.wrongTypes(ctx, places, 1))
	}
	return int(reply[0]), int(reply[1]), nil
}
