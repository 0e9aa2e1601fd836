package inspect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

const (
	// patience is how long a shard may take to answer a PING until it is away.
	patience = 900 * time.Millisecond
	// awayFor is how long a shard that is away is not asked again, and hereFor how long one that
	// answered is not.
	awayFor = time.Second
	hereFor = 100 * time.Millisecond
)

// Fleet reads all shards of a program as one, for people and pages. Its methods ask all shards at
// once. A shard that does not answer within a second is left out of what they return, and named
// beside it as Away. Their errors are nil if one shard answered. With one shard it sends the same
// commands as an Inspector. It is safe for concurrent use.
type Fleet struct {
	shards  *queue.Shards
	members []*Member
}

// Member is a shard of a fleet, with its Inspector.
type Member struct {
	*Inspector
	Name  string // "" if there is only one Redis
	Store *queue.Store

	alone bool // it is the only one, and not asked whether it answers
	mu    sync.Mutex
	asked time.Time
	err   error // of the last question
}

// Away is a shard that does not answer, and why.
type Away struct {
	Shard string `json:"shard"`
	Error string `json:"error"`
}

// String says it as people read it.
func (a Away) String() string { return fmt.Sprintf("shard %s: away: %s", a.Shard, a.Error) }

// NewFleet returns the Fleet of some shards, which it connects when they are first asked. Nobody
// else may connect them from now on. The caller closes the Shards.
func NewFleet(s *queue.Shards) *Fleet {
	f := &Fleet{shards: s}
	for _, shard := range s.List() {
		f.members = append(f.members, &Member{Inspector: New(shard.Store), Name: shard.Name,
			Store: shard.Store, alone: len(s.List()) == 1})
	}
	return f
}

// Connect connects the shards, each within a second if there are several. The error is nil if one
// is connected and the others may come back; it names wrong settings.
func (f *Fleet) Connect(ctx context.Context) error {
	if f.Several() {
		within, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ctx = within
	}
	err := f.shards.Connect(ctx)
	for _, m := range f.members {
		if !m.Store.Connected() && !m.alone {
			m.note(errors.New("it cannot be reached"))
		}
	}
	return err
}

// Shards are the shards, for what the queue package does with all of them.
func (f *Fleet) Shards() *queue.Shards { return f.shards }

// Members are all shards, in their order. The caller does not change the list.
func (f *Fleet) Members() []*Member { return f.members }

// Several reports whether there is more than one shard.
func (f *Fleet) Several() bool { return len(f.members) > 1 }

// label is the name of a shard in a list over several shards, and "" in a list of one.
func (f *Fleet) label(m *Member) string {
	if !f.Several() {
		return ""
	}
	return m.Name
}

// Member returns the shard with a name. The error names those that there are.
func (f *Fleet) Member(name string) (*Member, error) {
	var names []string
	for _, m := range f.members {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return nil, fmt.Errorf("shard %q: %w: there are %s", name, queue.ErrNotFound,
		strings.Join(names, ", "))
}

// Only returns the fleet of one of its shards.
func (f *Fleet) Only(name string) (*Fleet, error) {
	m, err := f.Member(name)
	if err != nil {
		return nil, err
	}
	return &Fleet{shards: f.shards, members: []*Member{m}}, nil
}

// Here returns the shards that answer, and those that are away.
func (f *Fleet) Here(ctx context.Context) (here []*Member, away []Away) {
	all, away, _ := Each(ctx, f, func(context.Context, *Member) (struct{}, error) {
		return struct{}{}, nil
	})
	for _, of := range all {
		here = append(here, of.Member)
	}
	return here, away
}

// Answers returns why the shard is away, or nil. It takes at most a second.
func (m *Member) Answers(ctx context.Context) error {
	if m.alone {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	remembered := hereFor
	if m.err != nil {
		remembered = awayFor
	}
	if time.Since(m.asked) < remembered {
		return m.err
	}
	// The answer counts for others too: that this caller goes away says nothing about the shard.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if m.Store.Connected() {
		m.err = m.rdb.Ping(ctx).Err()
	} else {
		m.err = m.Store.Connect(ctx)
	}
	var network net.Error
	if errors.As(m.err, &network) && network.Timeout() {
		m.err = fmt.Errorf("it has not answered for %v", patience)
	}
	m.asked = time.Now()
	return m.err
}

// note notes why the shard is away, when somebody else has found it out.
func (m *Member) note(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked, m.err = time.Now(), err
}

// Of is what a shard has answered.
type Of[T any] struct {
	Member *Member
	Value  T
}

// Each calls do with all shards that answer, at once, and returns what it returned for each, in the
// order of the shards. A shard that does not answer, or of which do returns an error, is away. The
// error joins those of all shards if none answered.
func Each[T any](ctx context.Context, f *Fleet,
	do func(context.Context, *Member) (T, error)) (list []Of[T], away []Away, err error) {
	values, errs := make([]T, len(f.members)), make([]error, len(f.members))
	var g sync.WaitGroup // ends before Each returns
	for i, m := range f.members {
		g.Go(func() {
			if errs[i] = m.Answers(ctx); errs[i] != nil {
				return
			}
			values[i], errs[i] = do(ctx, m)
			var network net.Error
			if errors.As(errs[i], &network) && ctx.Err() == nil && !m.alone {
				m.note(errs[i])
			}
		})
	}
	g.Wait()
	for i, m := range f.members {
		if errs[i] != nil {
			away = append(away, Away{m.Name, errs[i].Error()})
			continue
		}
		list = append(list, Of[T]{m, values[i]})
	}
	if slices.Contains(errs, nil) {
		return list, away, nil
	}
	for i, m := range f.members {
		if m.Name == "" {
			return nil, nil, errs[i]
		}
		errs[i] = fmt.Errorf("shard %s: %w", m.Name, errs[i])
	}
	return nil, away, errors.Join(errs...)
}

// One calls do with the shards that answer, one after another, until it finds what it looks for: an
// error that is not queue.ErrNotFound, or none. The error of a search without success names the
// shards that were not searched.
func (f *Fleet) One(ctx context.Context, do func(context.Context, *Member) error) (*Member,
	error) {
	var missing error
	here, away := f.Here(ctx)
	for _, m := range here {
		err := do(ctx, m)
		if !errors.Is(err, queue.ErrNotFound) {
			return m, err
		}
		missing = err
	}
	for _, a := range away {
		missing = errors.Join(missing, errors.New(a.String()))
	}
	return nil, missing
}
