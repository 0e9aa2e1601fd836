package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/doctor"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// plan computes the processes, threads and pools of a load.
type plan struct {
	others                          otherPools
	cores, maxConnections, reserved int
	least, perProcess               int
	utilisation                     float64
	pooler, units, ini              bool
	rate, mean                      string
	loads                           []load // of rate and mean; check reads them
	live                            bool
	rotate                          string        // how many processes serve all queues; "": none
	processes                       int           // of rotate; check reads it
	since                           time.Duration // of live
	note                            string        // about live, for people
}

func (c *call) planCommand() *cobra.Command {
	p := &plan{}
	cmd := c.local("plan", "compute processes, threads and pools of a load", p.run)
	cmd.Long = "compute processes, threads, pools and PgBouncer's sizes from the load of the\n" +
		"queues and the limits of the machine, and show the arithmetic"
	cmd.Example = "workerctl plan --rate push=25 --mean push=400ms --web 2x5 --streaming 1x10\n" +
		"workerctl plan --live --units\n" +
		"workerctl plan --rotate 4 --units"
	cmd.Args = checked(p.check)
	p.flags(cmd.Flags())
	return cmd
}

func (p *plan) flags(f *pflag.FlagSet) {
	f.StringVar(&p.rate, "rate", "", "jobs per second, `QUEUE=N,...`; a queue that is not named "+
		"has its rate in the model of docs/scaling.md")
	f.StringVar(&p.mean, "mean", "", "mean time of a job, `QUEUE=DURATION,...`, such as "+
		"push=400ms (workerctl metrics shows it)")
	f.BoolVar(&p.live, "live", false, "take the rates and mean times of the fleet from its "+
		"metrics; --rate and --mean hold before them")
	f.DurationVar(&p.since, "since", time.Hour, "with --live: of the last `DURATION`, up to 72h")
	f.StringVar(&p.rotate, "rotate", "", "the number of `PROCESSES` that serve all queues, each "+
		"with another queue first")
	f.Float64Var(&p.utilisation, "utilisation", 0.7, "the `SHARE` of the threads that may be busy")
	f.IntVar(&p.least, "least", 5, "the fewest `THREADS` of a queue: one slow job does not delay "+
		"all others")
	f.IntVar(&p.perProcess, "per-process", 50, "the most `THREADS` in one process")
	f.IntVar(&p.cores, "cores", 4, "the number `N` of cores that the workers run on")
	f.IntVar(&p.maxConnections, "max-connections", 100, "max_connections of Postgres, `N`")
	f.IntVar(&p.reserved, "reserved", 3, "of them, the `N` that are reserved for superusers "+
		"(superuser_reserved_connections)")
	p.others.flags(f)
	f.BoolVar(&p.pooler, "pooler", false, "there is a PgBouncer in transaction mode")
	f.BoolVar(&p.units, "units", false, "print the commands for systemd")
	f.BoolVar(&p.ini, "pgbouncer-ini", false, "print a pgbouncer.ini and its userlist.txt line")
}

func (p *plan) check(words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("it takes only flags, and got %q", words[0])
	}
	loads, err := readLoads(standard, p.rate, p.mean)
	p.loads = loads
	problems := []error{err, p.others.check()}
	for _, x := range []struct {
		flag string
		n    int
	}{{"cores", p.cores}, {"max-connections", p.maxConnections},
		{"per-process", p.perProcess}, {"least", p.least}} {
		if x.n < 1 {
			problems = append(problems, fmt.Errorf("--%s %d: want at least 1", x.flag, x.n))
		}
	}
	if p.utilisation <= 0 || p.utilisation > 1 || math.IsNaN(p.utilisation) {
		problems = append(problems, fmt.Errorf("--utilisation %v: want more than 0 and at most "+
			"1, such as 0.7", p.utilisation))
	}
	if p.since <= 0 || p.since > inspect.MaxMetrics {
		problems = append(problems, fmt.Errorf("--since %v: want more than 0 and at most %v",
			p.since, inspect.MaxMetrics))
	}
	if p.rotate != "" {
		n, err := strconv.Atoi(p.rotate)
		if err != nil || n < 2 || n > mostProcesses {
			problems = append(problems, fmt.Errorf("--rotate %q: want 2 to %d processes, such as "+
				"--rotate 4", p.rotate, mostProcesses))
		}
		p.processes = n
	}
	if p.ini && !p.pooler {
		problems = append(problems, errors.New("--pgbouncer-ini needs --pooler"))
	}
	return errors.Join(problems...)
}

func (p *plan) run(ctx context.Context, c *call, _ []string) error {
	given, err := p.others.read(c)
	if err != nil {
		return usageError{"plan", err}
	}
	others, err := given.Pools()
	if err != nil {
		return usageError{"plan", err}
	}
	if p.live {
		if err := p.readLive(ctx, c); err != nil {
			return err
		}
	}
	s := p.make(p.loads, others)
	switch {
	case c.json():
		return c.print(s)
	case p.units:
		return s.printUnits(c)
	case p.ini:
		return s.printINI(c)
	}
	return p.explain(c, s)
}

// planned is the share of a queue in the plan.
type planned struct {
	load
	MeanSeconds float64 `json:"mean_seconds"`
	Exact       float64 `json:"threads_needed"` // as computed, before it is rounded up
	Threads     int     `json:"threads"`        // of one process
	Processes   int     `json:"processes"`
}

func (p planned) total() int { return p.Threads * p.Processes }

// spread divides the threads of a queue over equal processes.
func (p *plan) spread(l load) planned {
	exact := l.slots(p.utilisation)
	threads := max(int(math.Ceil(exact-1e-9)), p.least)
	processes := (threads + p.perProcess - 1) / p.perProcess
	return planned{l, l.Mean.Seconds(), exact, (threads + processes - 1) / processes, processes}
}

// scheme is a whole plan. Its numbers are connections to Postgres.
type scheme struct {
	Queues      []planned     `json:"queues"`
	Others      []doctor.Pool `json:"others"`
	Workers     int           `json:"worker_connections"`
	Clients     int           `json:"all_connections"`
	Available   int           `json:"available"`         // for ordinary users
	Reserve     int           `json:"reserve"`           // of them, left for migrations and people
	PoolSize    int           `json:"default_pool_size"` // from PgBouncer to the server
	MaxClients  int           `json:"max_client_conn"`   // that PgBouncer accepts
	Utilisation float64       `json:"utilisation"`
	Left        int           `json:"left"` // negative: as many do not fit
	Rotated     *rotation     `json:"rotated,omitempty"`
}

func (p *plan) make(loads []load, others []doctor.Pool) scheme {
	s := scheme{Others: append([]doctor.Pool{}, others...),
		Available: p.maxConnections - p.reserved, Utilisation: p.utilisation}
	s.Reserve = max((s.Available+9)/10, 1)
	for _, l := range loads {
		q := p.spread(l)
		s.Queues = append(s.Queues, q)
		s.Workers += q.total()
	}
	if p.processes > 0 {
		s.Rotated = rotationOf(s.Queues, s.Workers, p.processes)
	}
	if r := s.Rotated; r != nil {
		s.Workers = r.Threads * r.Processes
	}
	s.Clients = s.Workers
	for _, o := range others {
		s.Clients += o.Connections
	}
	s.Left = s.Available - s.Reserve - s.Clients
	if p.pooler {
		s.PoolSize = min(s.Available-s.Reserve, s.Clients)
		s.MaxClients = (s.Clients*5/4 + 49) / 50 * 50
		s.Left = s.Available - s.Reserve - s.PoolSize
	}
	return s
}

func (s scheme) processes() (n int) {
	if s.Rotated != nil {
		return s.Rotated.Processes
	}
	for _, q := range s.Queues {
		n += q.Processes
	}
	return n
}
