package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// FleetProcess is a process, which has a record in each shard that it serves. Its running jobs are
// those of all shards together; of its other numbers the worst counts.
type FleetProcess struct {
	Process                 // its identity is that of the first shard
	Records []ProcessShard  `json:"shards,omitempty"` // nil if there is one shard
	Missing []string        `json:"missing_in,omitempty"`
	in      map[string]bool // identities in the shards
}

// ProcessShard is a shard that a process serves.
type ProcessShard struct {
	Shard    string `json:"shard"`
	Identity string `json:"identity"` // of the process in this shard
	Busy     int    `json:"busy"`     // jobs of this shard
	Quiet    bool   `json:"quiet"`
}

// Processes returns the live processes of all shards, Ruby's too, each once, by identity. A worker
// of Kyu that serves some of the shards has the names of the others that answered in Missing: it
// has another list of shards.
func (f *Fleet) Processes(ctx context.Context) ([]FleetProcess, []Away, error) {
	found, away, err := Each(ctx, f, func(ctx context.Context, m *Member) ([]Process, error) {
		return m.Processes(ctx)
	})
	return mergeProcesses(found, f.Several()), away, err
}

// ProcessesOf returns those of the identities, of any shard, that are live processes (see
// Inspector.ProcessesOf).
func (f *Fleet) ProcessesOf(ctx context.Context, ids ...string) ([]FleetProcess, []Away, error) {
	found, away, err := Each(ctx, f, func(ctx context.Context, m *Member) ([]Process, error) {
		return m.ProcessesOf(ctx, ids...)
	})
	return mergeProcesses(found, f.Several()), away, err
}

// WorkOf returns the jobs that processes run in all shards, the longest running first.
func (f *Fleet) WorkOf(ctx context.Context, ids ...string) (list []FleetWork, away []Away,
	err error) {
	return f.work(ctx, func(ctx context.Context, m *Member) ([]Work, error) {
		return m.WorkOf(ctx, ids...)
	})
}

// processKey tells processes apart. Identities may differ from shard to shard.
type processKey struct {
	host, identity string
	pid            int
	started        int64
}

func (p *Process) key() processKey {
	if p.Hostname == "" || p.PID == 0 {
		return processKey{identity: p.Identity}
	}
	return processKey{host: p.Hostname, pid: p.PID, started: p.StartedAt.UnixMicro()}
}

// mergeProcesses makes one process of its records. Two records in one shard are two processes.
func mergeProcesses(found []Of[[]Process], several bool) (list []FleetProcess) {
	at := map[processKey][]int{}
	for _, of := range found {
		for _, p := range of.Value {
			i := -1
			for _, k := range at[p.key()] {
				if !list[k].Serves(of.Member.Name) && i < 0 {
					i = k
				}
			}
			if i < 0 {
				i = len(list)
				at[p.key()] = append(at[p.key()], i)
				list = append(list, FleetProcess{Process: p, in: map[string]bool{}})
			} else {
				list[i].merge(p)
			}
			list[i].in[p.Identity] = true
			if several {
				list[i].Records = append(list[i].Records, ProcessShard{of.Member.Name, p.Identity,
					p.Busy, p.Quiet})
			}
		}
	}
	for i := range list {
		for _, of := range found {
			if !list[i].Serves(of.Member.Name) && list[i].ours() {
				list[i].Missing = append(list[i].Missing, of.Member.Name)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b FleetProcess) int {
		return cmp.Compare(a.Identity, b.Identity)
	})
	return list
}

// merge adds the record of another shard.
func (p *FleetProcess) merge(other Process) {
	p.Busy += other.Busy
	p.Concurrency = max(p.Concurrency, other.Concurrency)
	p.RSS, p.RTT, p.Stuck = max(p.RSS, other.RSS), max(p.RTT, other.RTT), max(p.Stuck, other.Stuck)
	p.Quiet = p.Quiet && other.Quiet
	if other.Beat.Before(p.Beat) { // it is silent in that shard
		p.Beat = other.Beat
	}
	if !other.Turned.IsZero() && (p.Turned.IsZero() || other.Turned.Before(p.Turned)) {
		p.Turned = other.Turned
	}
	p.Queues = slices.Clone(p.Queues)
	for _, q := range other.Queues {
		if !slices.Contains(p.Queues, q) {
			p.Queues = append(p.Queues, q)
		}
	}
}

// ours reports whether it is a worker of Kyu: only these say when their loops turned, and only
// these serve several shards.
func (p *FleetProcess) ours() bool { return len(p.Records) > 1 || !p.Turned.IsZero() }

// Serves reports whether the process has a record in a shard.
func (p *FleetProcess) Serves(shard string) bool {
	return len(p.Records) == 0 || slices.ContainsFunc(p.Records,
		func(r ProcessShard) bool { return r.Shard == shard })
}

// Has reports whether an identity is the process's, in any shard.
func (p *FleetProcess) Has(identity string) bool { return p.in[identity] }

// Signal sends the process a signal in each shard that it serves and that answers (see
// Inspector.Signal). The error is nil if one shard has it: the process obeys it there.
func (f *Fleet) Signal(ctx context.Context, p FleetProcess, signal string) ([]Away, error) {
	sent := false
	_, away, err := Each(ctx, f, func(ctx context.Context, m *Member) (bool, error) {
		if !p.Serves(m.Name) {
			return false, nil
		}
		err := m.Signal(ctx, p.identityIn(m.Name), signal)
		if errors.Is(err, queue.ErrNotFound) && len(p.Records) > 1 {
			return false, nil // it has just left this shard
		}
		return err == nil, err
	})
	if err != nil {
		return away, err
	}
	for _, r := range p.Records {
		sent = sent || !slices.ContainsFunc(away, func(a Away) bool { return a.Shard == r.Shard })
	}
	if len(p.Records) > 0 && !sent {
		return away, fmt.Errorf("signal: no shard of process %q takes it: %v", p.Identity, away)
	}
	return away, nil
}

// identityIn is the identity of the process in a shard.
func (p *FleetProcess) identityIn(shard string) string {
	for _, r := range p.Records {
		if r.Shard == shard {
			return r.Identity
		}
	}
	return p.Identity
}

// FleetWork is a job that a process runs, and its shard.
type FleetWork struct {
	Work
	Shard string `json:"shard,omitempty"`
}

// WorkInProgress returns the jobs that live processes run, the longest running first.
func (f *Fleet) WorkInProgress(ctx context.Context) ([]FleetWork, []Away, error) {
	return f.work(ctx, func(ctx context.Context, m *Member) ([]Work, error) {
		return m.WorkInProgress(ctx)
	})
}

func (f *Fleet) work(ctx context.Context,
	read func(context.Context, *Member) ([]Work, error)) (list []FleetWork, away []Away,
	err error) {
	found, away, err := Each(ctx, f, read)
	for _, of := range found {
		for _, w := range of.Value {
			list = append(list, FleetWork{w, f.label(of.Member)})
		}
	}
	slices.SortStableFunc(list, func(a, b FleetWork) int {
		return cmp.Or(a.RunAt.Compare(b.RunAt), cmp.Compare(a.TID, b.TID))
	})
	return list, away, err
}

// Problems says whether the process is alive as a whole, in each of its shards.
func (p *FleetProcess) Problems(now time.Time) []Finding { return p.Process.Problems(now) }
