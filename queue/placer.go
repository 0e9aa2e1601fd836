package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// statesEvery is how old the record of the states of shards may be for a push.
	statesEvery = 5 * time.Second
	// statesLimit is how long a push may read them. Others go on with the old record meanwhile.
	statesLimit = 250 * time.Millisecond
)

var (
	// ErrElsewhere is an ErrUnknown of a job that was placed in another shard than its own (see
	// Batch.Loose): a repetition with the same JID could store it twice.
	ErrElsewhere = fmt.Errorf("in another shard, %w", ErrUnknown)

	errAllDraining = errors.New("push: nothing was pushed: all shards of this program are " +
		"draining: add one to KYU_SHARDS, or make one active (workerctl shards)")
)

// PartlyError says that some jobs of a push to several shards are stored, and others are not. It is
// an ErrUnknown too: a repetition could store the first ones twice, unless they are idempotent.
type PartlyError struct {
	Stored []string // the JIDs of jobs that are stored for sure
	Err    error    // of the shards that failed
}

func (e *PartlyError) Error() string {
	return fmt.Sprintf("push: %d jobs are stored, the others are not: %v", len(e.Stored), e.Err)
}

// Unwrap returns the errors of the shards that failed.
func (e *PartlyError) Unwrap() error { return e.Err }

// Is reports whether target is ErrUnknown, or that of a shard.
func (e *PartlyError) Is(target error) bool { return target == ErrUnknown }

// placer is a Backend that places jobs in several shards.
type placer struct {
	shards    *Shards
	seats     []*seat
	placement Placement
	turn      atomic.Uint64 // number of slices that were placed in turn

	roster  atomic.Pointer[roster] // nil before the first reading
	reading sync.Mutex             // held while the states are read; guards the rest
	states  ShardStates
	readAt  atomic.Int64 // Unix milliseconds
}

// Backend returns a Backend that places jobs in all shards by p, for NewClient. With one shard it
// is its Store. The error names a rule of p whose shard does not exist.
//
// A shard that takes no jobs (it cannot be reached, is full, is a replica, or loads its data) is
// left out, for up to two seconds at a time, and its jobs are placed in the next one. Jobs with a
// fixed place (see Placement) are not: their push fails, and the error names the shard. If the
// outcome is ErrUnknown, the jobs are placed nowhere else. A draining shard gets no jobs, at most 5
// s after its state was changed. If all shards are draining, pushes fail.
//
// A call of PushBatches stores the jobs that have no fixed place in one shard, all or none. Those
// with a fixed place are stored all or none for each shard: if one shard fails and another one does
// not, the error is a *PartlyError.
//
// A shard that is not connected yet is connected by a push.
func (s *Shards) Backend(p Placement) (Backend, error) {
	if len(s.list) == 1 {
		return s.list[0].Store, nil
	}
	if len(s.list) == 0 {
		return nil, errors.New("placement: there is no shard")
	}
	if p.Logger == nil {
		p.Logger = slog.Default()
	}
	b := &placer{shards: s, placement: p}
	for _, shard := range s.list {
		b.seats = append(b.seats, &seat{Shard: shard, log: p.Logger})
	}
	return b, b.placement.check(s.names())
}

// names returns the names of the shards, in the order of KYU_SHARDS.
func (s *Shards) names() (list []string) {
	for _, shard := range s.list {
		list = append(list, shard.Name)
	}
	return list
}

// Form is the form of the payloads of the first shard. Backends of all shards have the same.
func (p *placer) Form() Form { return p.seats[0].Store.Form() }

// Serving reports whether any shard gets pushes now.
func (p *placer) Serving() bool {
	now := time.Now()
	for _, s := range p.seats {
		if !s.away(now) {
			return true
		}
	}
	return false
}

// PushBatches is the method of Backend.
func (p *placer) PushBatches(ctx context.Context, batches []Batch) error {
	parts, err := p.divide(p.look(ctx), batches)
	if err != nil || len(parts) == 0 {
		return err
	}
	if len(parts) == 1 {
		return p.pushPart(ctx, parts[0])
	}
	var g sync.WaitGroup // ends before PushBatches returns
	for _, part := range parts {
		g.Go(func() { part.err = p.pushPart(ctx, part) })
	}
	g.Wait()
	return outcome(parts)
}

// look returns which shards get new jobs. Of several pushes, one reads the states when that is due,
// and the others go on with the old record; before the first reading they wait for it.
func (p *placer) look(ctx context.Context) *roster {
	known := p.roster.Load()
	if known != nil && time.Since(time.UnixMilli(p.readAt.Load())) < statesEvery {
		return known
	}
	if known == nil {
		p.reading.Lock()
	} else if !p.reading.TryLock() {
		return known
	}
	defer p.reading.Unlock()
	if now := p.roster.Load(); now != known {
		return now
	}
	p.readAt.Store(time.Now().UnixMilli())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statesLimit)
	defer cancel()
	states, err := p.shards.States(ctx)
	if err == nil && (p.states.States == nil || states.Epoch >= p.states.Epoch) {
		p.states = states // else the shard with the newest record is away
	}
	r := &roster{names: p.shards.names()}
	for _, name := range r.names {
		r.active = append(r.active, p.states.Of(name) == ShardActive)
	}
	p.roster.Store(r)
	return r
}

// part are the jobs of a call that go to one shard.
type part struct {
	batches []Batch
	source  int            // the index of the caller's batch whose jobs are the last of batches
	jobs    []*Pushed      // the caller's, in order; nil: batches are the caller's own
	seat    *seat          // nil: in turn
	name    string         // of the place, for the error: the key or the rule
	order   []*seat        // those that get new jobs, in turn
	loose   bool           // after its seat the others are tried
	former  map[*seat]bool // draining; in them its jobs belonged before
	err     error
}

// divide divides batches by the shards in which their jobs belong. Jobs that an earlier call with
// the same batches has stored are left out.
func (p *placer) divide(r *roster, batches []Batch) ([]*part, error) {
	d := division{placer: p, roster: r, batches: batches}
	for i := range batches {
		for k := range batches[i].Jobs {
			if err := d.add(i, &batches[i].Jobs[k]); err != nil {
				return nil, err
			}
		}
	}
	if len(d.parts) == 1 && !d.less && d.parts[0].former == nil {
		d.parts[0].batches, d.parts[0].jobs = batches, nil
	}
	return d.parts, nil
}

// division divides the jobs of a call.
type division struct {
	*placer
	roster  *roster
	batches []Batch
	order   []*seat // of the part in turn
	parts   []*part
	less    bool // a job was left out
}

// add adds a job of a batch to its part.
func (d *division) add(batch int, j *Pushed) error {
	if j.Stored {
		d.less = true
		return nil
	}
	b := &d.batches[batch]
	h, err := d.placement.home(b, j)
	if err != nil {
		return err
	}
	var own *seat
	var former []int
	if h.key != "" {
		at := 0
		if at, former = d.roster.settle(h); at < 0 {
			return errAllDraining
		}
		own = d.seats[at]
	}
	p, err := d.part(own, b.Loose && h.key == j.JID)
	if err != nil {
		return err
	}
	if len(p.batches) == 0 || p.source != batch {
		one := *b
		one.Jobs = nil
		p.batches, p.source = append(p.batches, one), batch
	}
	last := &p.batches[len(p.batches)-1]
	last.Jobs, p.jobs, p.name = append(last.Jobs, *j), append(p.jobs, j), h.key
	for _, i := range former {
		if p.former == nil {
			p.former = map[*seat]bool{}
		}
		p.former[d.seats[i]] = true
	}
	return nil
}

// part returns the part of a seat, nil for that in turn.
func (d *division) part(s *seat, loose bool) (*part, error) {
	for _, p := range d.parts {
		if p.seat == s && p.loose == loose {
			return p, nil
		}
	}
	p := &part{seat: s, loose: loose}
	if s == nil || loose {
		if d.order == nil {
			for _, i := range d.roster.turn(d.turn.Add(1) - 1) {
				d.order = append(d.order, d.seats[i])
			}
		}
		if p.order = d.order; len(p.order) == 0 {
			return nil, errAllDraining
		}
	}
	d.parts = append(d.parts, p)
	return p, nil
}

// pushPart pushes a part, and notes in the caller's jobs what became of them.
func (p *placer) pushPart(ctx context.Context, part *part) error {
	if err := part.recall(ctx); err != nil {
		return err
	}
	var err error
	if part.seat != nil {
		err = part.pushHome(ctx)
	} else {
		err = part.pushInTurn(ctx, nil)
	}
	if err == nil {
		part.tell()
	}
	return err
}

// recall leaves out the idempotent jobs that were pushed to a shard in which they belonged before
// it was draining.
func (p *part) recall(ctx context.Context) error {
	for s := range p.former {
		var jids []string
		for i := range p.batches {
			for k := range p.batches[i].Jobs {
				if p.batches[i].Idempotent {
					jids = append(jids, p.batches[i].Jobs[k].JID)
				}
			}
		}
		pushed, err := s.remembers(ctx, jids)
		if err != nil {
			return fmt.Errorf("push: nothing was pushed: the shard %s is draining, and does not "+
				"say which of the jobs it got before: if it never comes back, remove it "+
				"(workerctl shards): %w", s.Name, err)
		}
		p.leaveOut(pushed)
	}
	return nil
}

// leaveOut leaves out the idempotent jobs with these JIDs: they are stored already.
func (p *part) leaveOut(pushed map[string]bool) {
	var left []*Pushed
	at := 0
	for i := range p.batches {
		b := &p.batches[i]
		kept := b.Jobs[:0]
		for _, j := range b.Jobs {
			original := p.jobs[at]
			at++
			if b.Idempotent && pushed[j.JID] {
				original.Stored = true
				continue
			}
			kept, left = append(kept, j), append(left, original)
		}
		b.Jobs = kept
	}
	p.jobs = left
}

// pushHome pushes a part to the shard in which it belongs.
func (p *part) pushHome(ctx context.Context) error {
	err := p.seat.push(ctx, p.batches)
	switch fate := fateOf(err, ctx.Err() != nil); {
	case err == nil:
		return nil
	case fate == fateElsewhere && p.loose:
		return p.pushInTurn(ctx, err)
	case fate == fateElsewhere:
		return fmt.Errorf("push: nothing was pushed: the shard %s takes no jobs now, and these "+
			"belong there (%s): %w", p.seat.Name, p.name, err)
	}
	return p.seat.explain(err)
}

// pushInTurn pushes a part to the first shard that takes it. first is the error of the shard in
// which a loose part belongs.
func (p *part) pushInTurn(ctx context.Context, first error) error {
	batches := p.batches
	var errs []error
	if first != nil {
		errs = append(errs, p.seat.explain(first))
		batches = forgotten(batches)
	}
	for _, s := range speakersFirst(p.order) {
		if s == p.seat {
			continue
		}
		err := s.push(ctx, batches)
		switch fateOf(err, ctx.Err() != nil) {
		case fateStored:
			return nil
		case fateElsewhere:
			errs = append(errs, s.explain(err))
			continue
		case fateUnknown:
			if first != nil {
				return fmt.Errorf("push: %w: %w", ErrElsewhere, s.explain(err))
			}
		}
		return s.explain(err)
	}
	return fmt.Errorf("push: nothing was pushed: no shard takes jobs now: %w", errors.Join(errs...))
}

// speakersFirst returns seats with those behind that leave pushes without a reply.
func speakersFirst(order []*seat) (list []*seat) {
	var silent []*seat
	now := time.Now()
	for _, s := range order {
		if s.silent(now) {
			silent = append(silent, s)
		} else {
			list = append(list, s)
		}
	}
	return append(list, silent...)
}

// forgotten returns batches without markers.
func forgotten(batches []Batch) (list []Batch) {
	for _, b := range batches {
		b.Idempotent = false
		list = append(list, b)
	}
	return list
}

// tell notes in the caller's jobs that they are stored or refused.
func (p *part) tell() {
	if p.jobs == nil {
		return
	}
	for i := range p.batches {
		for k := range p.batches[i].Jobs {
			j := p.jobs[0]
			p.jobs = p.jobs[1:]
			j.Stored, j.Refused = true, p.batches[i].Jobs[k].Refused
		}
	}
}

// outcome returns the error of a call with several parts.
func outcome(parts []*part) error {
	var errs []error
	var stored []string
	for _, p := range parts {
		if p.err != nil {
			errs = append(errs, p.err)
			continue
		}
		for i := range p.batches {
			for k := range p.batches[i].Jobs {
				if j := &p.batches[i].Jobs[k]; j.Refused == nil {
					stored = append(stored, j.JID)
				}
			}
		}
	}
	err := errors.Join(errs...)
	if err == nil || len(stored) == 0 {
		return err
	}
	return &PartlyError{stored, err}
}

// ShortenMarkers is the method of each Store, for all shards that get pushes now.
func (p *placer) ShortenMarkers(ctx context.Context, jids []string, life time.Duration) error {
	errs, now := make([]error, len(p.seats)), time.Now()
	var g sync.WaitGroup // ends before ShortenMarkers returns
	for i, s := range p.seats {
		if !s.away(now) && s.Store.Connected() {
			g.Go(func() { errs[i] = s.explain(s.Store.ShortenMarkers(ctx, jids, life)) })
		}
	}
	g.Wait()
	return errors.Join(errs...)
}
