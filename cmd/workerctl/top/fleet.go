package top

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

// ExplainIn says why a job of a shard is where it is.
type ExplainIn func(context.Context, *inspect.Member, inspect.Place, *queue.Job) ([]inspect.Reason,
	error)

// overShards is the Source of several shards: sums, processes once, and lists of jobs of all
// shards. A
// shard that is away is left out.
type overShards struct {
	*inspect.Fleet
	explain ExplainIn
}

// NewFleetSource returns the Source of several shards. The commands of their clients are counted
// from now on.
func NewFleetSource(f *inspect.Fleet, explain ExplainIn) Source {
	for _, m := range f.Members() {
		m.Store.DB().Shared.AddHook(meterHook{})
	}
	return overShards{f, explain}
}

func (s overShards) Totals(ctx context.Context) (sum inspect.Stats, err error) {
	all, _, err := inspect.Each(ctx, s.Fleet, func(ctx context.Context,
		m *inspect.Member) (inspect.Stats, error) {
		return m.Totals(ctx)
	})
	for _, of := range all {
		t := of.Value
		sum.Processed += t.Processed
		sum.Failed += t.Failed
		sum.Expired += t.Expired
		sum.Scheduled += t.Scheduled
		sum.Retries += t.Retries
		sum.Dead += t.Dead
		sum.Processes = max(sum.Processes, t.Processes) // a process is in each shard
	}
	return sum, err
}

func (s overShards) Queues(ctx context.Context) (list []Queue, err error) {
	infos, _, err := s.Fleet.Queues(ctx)
	for _, info := range infos {
		list = append(list, Queue{QueueInfo: info})
	}
	return list, err
}

// Identities names all processes. One that has several identities is named by each of them until
// Processes knows it.
func (s overShards) Identities(ctx context.Context) ([]string, error) {
	list, _, err := s.Fleet.Processes(ctx)
	var ids []string
	for _, p := range list {
		ids = append(ids, p.Identity)
	}
	return ids, err
}

func (s overShards) Processes(ctx context.Context, ids ...string) (list []inspect.Process,
	err error) {
	all, _, err := s.Fleet.Processes(ctx)
	for _, p := range all {
		if slices.Contains(ids, p.Identity) {
			list = append(list, p.Process)
		}
	}
	return list, err
}

func (s overShards) Work(ctx context.Context, ids ...string) (list []inspect.Work, err error) {
	processes, _, err := s.Fleet.Processes(ctx)
	if err != nil {
		return nil, err
	}
	work, _, err := s.WorkInProgress(ctx)
	for _, w := range work {
		at := slices.IndexFunc(processes, func(p inspect.FleetProcess) bool {
			return p.Has(w.Process)
		})
		if at >= 0 && slices.Contains(ids, processes[at].Identity) {
			w.Work.Process = processes[at].Identity
			list = append(list, w.Work)
		}
	}
	return list, err
}

func (s overShards) Held(ctx context.Context) (list []inspect.Held, err error) {
	held, _, err := s.HeldClasses(ctx)
	for _, h := range held {
		list = append(list, h.Held)
	}
	return list, err
}

// set opens a set of a shard. Its name was checked before.
func (s overShards) set(set Set) (inspect.FleetSet, error) {
	if _, err := setOf(s.Members()[0].Inspector, set); err != nil {
		return inspect.FleetSet{}, err
	}
	return s.Set(func(in *inspect.Inspector) *inspect.JobSet {
		jobs, _ := setOf(in, set)
		return jobs
	}), nil
}

func (s overShards) Page(ctx context.Context, w Window) (Page, error) {
	page := Page{Window: w, At: time.Now()}
	if name, ok := w.Set.Queue(); ok {
		return s.queuePage(ctx, page, name)
	}
	set, err := s.set(w.Set)
	if err != nil {
		return page, err
	}
	filter, err := inspect.ParseFilter(w.Filter)
	if err != nil {
		return page, err
	}
	var p inspect.FleetPage
	if filter.Empty() {
		p, err = set.Page(ctx, int64(w.Offset), int64(w.Count))
	} else {
		p, err = set.Search(ctx, filter, page.At, int64(w.Offset), int64(w.Count))
	}
	page.Total = int(p.Total)
	for _, e := range p.Entries {
		page.Entries = append(page.Entries, e.Entry)
	}
	return page, err
}

// queuePage reads jobs of a queue: those of the first shard first.
func (s overShards) queuePage(ctx context.Context, page Page, name string) (Page, error) {
	raws, total, _, err := s.QueuePage(ctx, name, int64(page.Offset), int64(page.Count))
	page.Total = int(total)
	for _, raw := range raws {
		e := queue.Entry{Raw: raw.Raw}
		if e.Job, _ = envelope.ParseJob(raw.Raw); e.Job != nil {
			e.At = e.Job.Enqueued()
		}
		page.Entries = append(page.Entries, e)
	}
	return page, err
}

func (s overShards) Count(ctx context.Context, set Set, filter string, asOf time.Time) (int,
	error) {
	f, err := inspect.ParseFilter(filter)
	if err != nil {
		return 0, err
	}
	jobs, err := s.set(set)
	if err != nil {
		return 0, err
	}
	p, err := jobs.Search(ctx, f, asOf, 0, 0)
	return int(p.Total), err
}

func (s overShards) Job(ctx context.Context, ref Ref) (job Job, err error) {
	job.Ref = ref
	if ref.Raw != "" {
		if job.Job, err = envelope.ParseJob(envelope.Original(ref.Raw)); err != nil {
			return job, nil // no job: its bytes are all that there is
		}
		ref.JID = job.Job.JID
	}
	m, place, j, err := s.Locate(ctx, ref.JID)
	if err != nil {
		return job, err
	}
	job.Place, job.Job, job.Raw = place, j, j.Raw()
	job.Reasons, err = s.explain(ctx, m, job.Place, job.Job)
	job.Reasons = append([]inspect.Reason{{Text: "it is in the shard " + m.Name}}, job.Reasons...)
	return job, err
}

// fleetActor is the Acts of several shards.
type fleetActor struct {
	*inspect.Fleet
	person inspect.Act // By and Host
	record Record
}

// NewFleetActs returns the Acts of several shards.
func NewFleetActs(f *inspect.Fleet, person inspect.Act, record Record) Acts {
	return &fleetActor{f, person, record}
}

// Apply carries out a request in all shards.
func (a *fleetActor) Apply(ctx context.Context, r Request) (done string, err error) {
	one := &actor{person: a.person, record: a.record}
	switch r.Verb {
	case Pause:
		return one.each(r.Names, "queue pause", "paused", func(name string) error {
			return all(a.Pause(ctx, name))
		})
	case Unpause:
		return one.each(r.Names, "queue unpause", "unpaused", func(name string) error {
			return all(a.Unpause(ctx, name))
		})
	case Quiet:
		return a.signal(ctx, one, r, "TSTP")
	case Stop:
		return a.signal(ctx, one, r, "TERM")
	}
	return a.operate(ctx, r)
}

// all makes an error of shards that are away.
func all(away []inspect.Away, err error) error {
	for _, a := range away {
		err = errors.Join(err, errors.New(a.String()))
	}
	return err
}

// signal sends processes a signal.
func (a *fleetActor) signal(ctx context.Context, one *actor, r Request, name string) (string,
	error) {
	processes, _, err := a.Processes(ctx)
	if err != nil {
		return "", err
	}
	return one.each(r.Names, string(r.Verb), name+" →", func(id string) error {
		at := slices.IndexFunc(processes, func(p inspect.FleetProcess) bool { return p.Has(id) })
		if at < 0 {
			return fmt.Errorf("process %s: %w", id, queue.ErrNotFound)
		}
		_, err := a.Signal(ctx, processes[at], name)
		return err
	})
}

// operate changes jobs in one shard after another. Jobs that were chosen by hand are in any of
// them.
func (a *fleetActor) operate(ctx context.Context, r Request) (string, error) {
	var done string
	var errs []error
	here, away := a.Here(ctx)
	for _, m := range here {
		one := &actor{m.Store, m.Inspector, a.person, a.record}
		said, err := one.operate(ctx, r)
		if errors.Is(err, queue.ErrNotFound) {
			continue // its jobs are in other shards
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("shard %s: %w", m.Name, err))
		}
		if said != "" {
			if done != "" {
				done += "; "
			}
			done += "shard " + m.Name + ": " + said
		}
	}
	if done == "" && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: %w: left %s meanwhile", r.Verb, queue.ErrNotFound,
			r.Set))
	}
	return done, errors.Join(append(errs, all(away, nil))...)
}
