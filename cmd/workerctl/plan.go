package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/spf13/pflag"
)

// planFlags are what plan is told.
type planFlags struct {
	cores, maxConnections, reserved int
	least, perProcess               int
	utilisation                     float64
	pooler, units, ini              bool
	rate, mean                      string
}

func (p *planFlags) register(f *pflag.FlagSet) {
	f.IntVar(&p.cores, "cores", 4, "plan: cores of the machine that the workers run on")
	f.IntVar(&p.maxConnections, "max-connections", 100, "plan: Postgres's max_connections")
	f.IntVar(&p.reserved, "reserved", 3, "plan: of them, reserved for superusers "+
		"(superuser_reserved_connections)")
	f.BoolVar(&p.pooler, "pooler", false, "plan: there is a PgBouncer in transaction mode")
	f.StringVar(&p.rate, "rate", "", "plan: jobs per second, `QUEUE=N,…`; those not named as in "+
		"the model of docs/scaling.md")
	f.StringVar(&p.mean, "mean", "", "plan: mean time of a job, `QUEUE=DURATION,…`, such as "+
		"push=400ms (workerctl metrics tells)")
	f.Float64Var(&p.utilisation, "utilisation", 0.7, "plan: share of the threads that may be busy")
	f.IntVar(&p.least, "least", 5, "plan: the fewest threads of a queue, so that one slow job "+
		"does not hold up the rest")
	f.IntVar(&p.perProcess, "per-process", 50, "plan: the most threads in one process")
	f.BoolVar(&p.units, "units", false, "plan: print the commands for systemd")
	f.BoolVar(&p.ini, "pgbouncer-ini", false,
		"plan: print a pgbouncer.ini and its userlist.txt line")
}

// load is what a queue brings.
type load struct {
	queue string
	rate  float64 // jobs per second
	mean  time.Duration
}

// standard is a busy small server: 40 jobs/s in the shares and with the service times
// near those of the workload model (docs/wire.md 14.4).
var standard = []load{
	{"default", 20, 15 * time.Millisecond}, {"push", 13, 500 * time.Millisecond},
	{"mailers", 0.2, 600 * time.Millisecond}, {"pull", 7, 1200 * time.Millisecond},
}

// share of the work of a queue.
type planned struct {
	load
	Exact     float64 // threads that the load needs
	Threads   int     // of one process
	Processes int
}

func (p planned) total() int { return p.Threads * p.Processes }

// slots is the rule: rate × mean time / utilisation.
func (l load) slots(utilisation float64) float64 {
	return l.rate * l.mean.Seconds() / utilisation
}

// spread divides the threads of a queue over equal processes.
func spread(l load, p planFlags) planned {
	exact := l.slots(p.utilisation)
	threads := max(int(math.Ceil(exact-1e-9)), p.least)
	processes := (threads + p.perProcess - 1) / p.perProcess
	return planned{l, exact, (threads + processes - 1) / processes, processes}
}

// loads reads --rate and --mean over the standard.
func (p *planFlags) loads() ([]load, error) {
	list := slices.Clone(standard)
	set := func(flag, text string, put func(*load, string) error) error {
		for _, part := range strings.FieldsFunc(text, func(r rune) bool {
			return r == ',' || r == ' '
		}) {
			name, value, _ := strings.Cut(part, "=")
			i := slices.IndexFunc(list, func(l load) bool { return l.queue == name })
			if i < 0 {
				if !envelope.ValidName(name) {
					return fmt.Errorf("--%s %q: want QUEUE=VALUE", flag, part)
				}
				list = append(list, load{queue: name, rate: 1, mean: 100 * time.Millisecond})
				i = len(list) - 1
			}
			if err := put(&list[i], value); err != nil {
				return fmt.Errorf("--%s %q: %w", flag, part, err)
			}
		}
		return nil
	}
	return list, errors.Join(
		set("rate", p.rate, func(l *load, v string) (err error) {
			if l.rate, err = strconv.ParseFloat(v, 64); err != nil || l.rate < 0 ||
				math.IsInf(l.rate, 0) || math.IsNaN(l.rate) {
				return errors.New("want jobs per second, such as push=25")
			}
			return nil
		}),
		set("mean", p.mean, func(l *load, v string) (err error) {
			if l.mean, err = time.ParseDuration(v); err != nil || l.mean <= 0 {
				return errors.New("want a time, such as push=400ms")
			}
			return nil
		}))
}

func (p *planFlags) check() error {
	var problems []error
	for name, n := range map[string]int{"cores": p.cores, "max-connections": p.maxConnections,
		"per-process": p.perProcess, "least": p.least} {
		if n < 1 {
			problems = append(problems, fmt.Errorf("--%s %d: want at least 1", name, n))
		}
	}
	if p.utilisation <= 0 || p.utilisation > 1 || math.IsNaN(p.utilisation) {
		problems = append(problems, fmt.Errorf("--utilisation %v: want more than 0 and at most "+
			"1, such as 0.7", p.utilisation))
	}
	return errors.Join(problems...)
}

// scheme is a whole plan.
type scheme struct {
	Queues      []planned
	Others      []pool
	Workers     int // connections of all workers
	Clients     int // of all programs
	Available   int // for ordinary users
	Reserve     int // of them, left for migrations and people
	PoolSize    int // of PgBouncer: connections to the server
	MaxClients  int // of PgBouncer
	Utilisation float64
	Left        int // < 0: it does not fit
}

func (p *planFlags) make(loads []load, others []pool) scheme {
	s := scheme{Others: others, Available: p.maxConnections - p.reserved,
		Utilisation: p.utilisation}
	s.Reserve = max((s.Available+9)/10, 1)
	for _, l := range loads {
		q := spread(l, *p)
		s.Queues = append(s.Queues, q)
		s.Workers += q.total()
	}
	s.Clients = s.Workers
	for _, o := range others {
		s.Clients += o.connections
	}
	s.Left = s.Available - s.Reserve - s.Clients
	if p.pooler {
		s.PoolSize = min(s.Available-s.Reserve, s.Clients)
		s.MaxClients = (s.Clients*5/4 + 49) / 50 * 50
		s.Left = s.Available - s.Reserve - s.PoolSize
	}
	return s
}

// makePlan prints a plan. It needs neither Redis nor Postgres.
func (c *ctl) makePlan(_ context.Context, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%w: plan takes flags only", errUsage)
	}
	loads, err := c.plan.loads()
	others, err2 := c.otherPools()
	if err := errors.Join(err, err2, c.plan.check()); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	s := c.plan.make(loads, others)
	switch {
	case c.json:
		return c.print(s)
	case c.plan.units:
		return c.planUnits(s)
	case c.plan.ini:
		return c.planINI(s)
	}
	return c.explainPlan(s)
}

func (c *ctl) explainPlan(s scheme) error {
	fmt.Fprintf(c.out, "Threads: jobs per second x mean time / utilisation (%.2g), at least %d "+
		"for a queue, at most %d in a process\n\n", s.Utilisation, c.plan.least, c.plan.perProcess)
	t := c.table()
	t.row("QUEUE", "JOBS/S", "MEAN", "THREADS NEEDED", "PROCESSES", "START EACH WITH",
		"CONNECTIONS")
	for _, q := range s.Queues {
		t.row(q.queue, q.rate, q.mean,
			fmt.Sprintf("%.4g x %.4g s / %.2g = %.1f", q.rate, q.mean.Seconds(), s.Utilisation,
				q.Exact),
			q.Processes,
			fmt.Sprintf("worker -c %d -q %s  (DB_POOL=%d)", q.Threads, q.queue, q.Threads),
			q.total())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	c.explainPostgres(s)
	if n := processes(s); n > 2*c.plan.cores {
		fmt.Fprintf(c.out, "\n%d processes on %d cores: what computes (pictures, big fan-outs) "+
			"will wait for a core before it waits for a thread.\n", n, c.plan.cores)
	}
	fmt.Fprintf(c.out, "\nDead hosts add to the mean of push: 5 %% of deliveries that time out "+
		"after 10 s add 0.5 s to it, until their breakers have opened.\nNext: the same with "+
		"--units, and with --pgbouncer-ini.\n")
	return nil
}

// explainPostgres tells whose connections add up to what, and what to do if they do not fit.
func (c *ctl) explainPostgres(s scheme) {
	fmt.Fprintf(c.out, "\nPostgres: max_connections %d - %d reserved = %d; %d of them stay free "+
		"for migrations and people\n", c.plan.maxConnections, c.plan.reserved, s.Available,
		s.Reserve)
	fmt.Fprintf(c.out, "  workers %d", s.Workers)
	for _, o := range s.Others {
		fmt.Fprintf(c.out, " + %s = %d", o.who, o.connections)
	}
	fmt.Fprintf(c.out, ", in all %d\n", s.Clients)
	if len(s.Others) == 0 {
		fmt.Fprintln(c.out, "  (web and streaming processes are not counted: --web 2x5 "+
			"--streaming 1x10)")
	}
	switch {
	case c.plan.pooler:
		fmt.Fprintf(c.out, "  PgBouncer, pool_mode = transaction: default_pool_size = %d, "+
			"max_client_conn = %d, max_prepared_statements = 200 from 1.21 on\n", s.PoolSize,
			s.MaxClients)
		fmt.Fprintf(c.out, "  %d connections are left\n", s.Left)
	case s.Left < 0:
		fmt.Fprintf(c.out, "  that is %d too many. Either\n  - put PgBouncer in transaction mode "+
			"before it: the same plan with --pooler, or\n  - raise max_connections to %d (a "+
			"restart; each costs some MB), or\n  - give queues fewer threads, and accept that "+
			"they wait longer.\n",
			-s.Left, s.Clients+s.Reserve+c.plan.reserved)
	default:
		fmt.Fprintf(c.out, "  %d connections are left\n", s.Left)
	}
}

func processes(s scheme) (n int) {
	for _, q := range s.Queues {
		n += q.Processes
	}
	return n
}

// planUnits prints the commands that set the plan up.
func (c *ctl) planUnits(s scheme) error {
	var split, names []string
	for _, q := range s.Queues {
		for i := range q.Processes {
			name := q.queue
			if i > 0 {
				name = fmt.Sprintf("%s-%d", q.queue, i+1)
			}
			split = append(split, fmt.Sprintf("%s=%d", name, q.Threads))
			names = append(names, "worker@"+name)
		}
	}
	fmt.Fprintf(c.out, "workerctl install-units --split %s\nsystemctl daemon-reload\nsystemctl "+
		"enable --now worker.target %s\n", strings.Join(split, ","), strings.Join(names, " "))
	return nil
}

// planINI prints what PgBouncer needs.
func (c *ctl) planINI(s scheme) error {
	if !c.plan.pooler {
		return fmt.Errorf("%w: plan --pgbouncer-ini needs --pooler", errUsage)
	}
	fmt.Fprintf(c.out, `; /etc/pgbouncer/pgbouncer.ini
[databases]
mastodon_production = host=127.0.0.1 port=5432 dbname=mastodon_production

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
admin_users = pgbouncer
pool_mode = transaction
default_pool_size = %d
max_client_conn = %d
; from PgBouncer 1.21 on; then PREPARED_STATEMENTS=true works
; max_prepared_statements = 200

; /etc/pgbouncer/userlist.txt: one line per user, "name" "password or SCRAM secret". `+
		`As user postgres:
;   SELECT format('"%%s" "%%s"', rolname, rolpassword) FROM pg_authid `+
		`WHERE rolname IN ('mastodon', 'pgbouncer');
; "mastodon" "SCRAM-SHA-256$4096:..."

; and for the workers:
;   DATABASE_URL=postgres://mastodon@127.0.0.1:6432/mastodon_production
;   DIRECT_DATABASE_URL=postgres://mastodon@127.0.0.1:5432/mastodon_production
`, s.PoolSize, s.MaxClients)
	return nil
}
