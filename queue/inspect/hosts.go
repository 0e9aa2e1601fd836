package inspect

import (
	"cmp"
	"context"
	"slices"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Host is a server to which jobs send something: the host of the first URL among their arguments.
type Host struct {
	Host    string   `json:"host"`
	Breaker *Breaker `json:"breaker"` // nil if it has not failed lately
	Busy    int      `json:"busy"`    // threads that run jobs for it
	Error   string   `json:"error_class"`
	Sums             // of its jobs in the retry set and the dead set
}

// Hosts is what is known about hosts.
type Hosts struct {
	Retries  FailureCount `json:"retries"` // how the retries of hosts were counted
	Dead     FailureCount `json:"dead"`
	Hosts    []Host       `json:"hosts"`    // those with open breakers first, then the busy ones
	Breakers int64        `json:"breakers"` // hosts that failed lately; 1,000 of them are listed
	// Problem says why the breakers could not be read. The Redis of package jobs may be another one
	// than that of the queues.
	Problem string `json:"problem,omitempty"`
}

// Hosts returns the hosts that fail, for which jobs run, or for which jobs are retried or dead. jobs
// is the Redis of package jobs.
func (in *Inspector) Hosts(ctx context.Context, jobs redis.Cmdable) (h Hosts, err error) {
	rows := map[string]*Host{}
	row := func(name string) *Host {
		if rows[name] == nil {
			rows[name] = &Host{Host: name}
		}
		return rows[name]
	}
	breakers, all, err := Breakers(ctx, jobs)
	if err != nil {
		h.Problem = err.Error()
	}
	h.Breakers = all
	for _, b := range breakers {
		row(b.Host).Breaker = &b
	}
	work, err := in.WorkInProgress(ctx)
	if err != nil {
		return h, err
	}
	for _, w := range work {
		if host := urlHost(queue.Entry{Raw: w.Payload, Job: w.Job}); host != "" {
			row(host).Busy++
		}
	}
	f, err := in.Failures(ctx, false)
	if err != nil {
		return h, err
	}
	h.Retries, h.Dead = f.Retries, f.Dead
	for _, x := range f.Hosts {
		r := row(x.Host)
		r.Error, r.Sums = x.Error, x.Sums
	}
	h.Hosts = []Host{}
	for _, r := range rows {
		h.Hosts = append(h.Hosts, *r)
	}
	slices.SortFunc(h.Hosts, func(a, b Host) int {
		return cmp.Or(cmp.Compare(b.stopped(), a.stopped()), cmp.Compare(b.Busy, a.Busy),
			cmp.Compare(b.all(), a.all()), cmp.Compare(a.Host, b.Host))
	})
	return h, nil
}

// stopped is 1 if the breaker is not closed.
func (h *Host) stopped() int {
	if h.Breaker != nil && h.Breaker.State != BreakerClosed {
		return 1
	}
	return 0
}
