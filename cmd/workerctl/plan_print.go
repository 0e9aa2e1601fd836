package main

import (
	"fmt"
	"strings"
)

// explain prints a plan with its arithmetic.
func (p *plan) explain(c *call, s scheme) error {
	fmt.Fprintf(c.out, "Threads: jobs per second x mean time / utilisation (%.2g), at least %d "+
		"for a queue, at most %d in a process\n\n", s.Utilisation, p.least, p.perProcess)
	t := c.uncut()
	t.row("QUEUE", "JOBS/S", "MEAN", "THREADS NEEDED", "PROCESSES", "START EACH WITH",
		"CONNECTIONS")
	for _, q := range s.Queues {
		start := fmt.Sprintf("worker -c %d -q %s  (DB_POOL=%d)", q.Threads, q.Queue, q.Threads)
		if s.Rotated != nil {
			start = "rotated: see below"
		}
		t.row(q.Queue, q.Rate, q.Mean,
			fmt.Sprintf("%.4g x %.4g s / %.2g = %.1f", q.Rate, q.Mean.Seconds(), s.Utilisation,
				q.Exact),
			q.Processes,
			start, q.total())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if p.note != "" {
		fmt.Fprintln(c.out, "\n"+printable(p.note))
	}
	if r := s.Rotated; r != nil {
		fmt.Fprintf(c.out, "\nRotated: %d processes with %d threads each, %d in all. The first:\n"+
			"  worker %s\n", r.Processes, r.Threads, s.Workers, r.shares()[0].args())
	}
	p.explainConnections(c, s)
	p.explainFit(c, s)
	explainDashboard(c)
	if n := s.processes(); n > 2*p.cores {
		fmt.Fprintf(c.out, "\n%d processes on %d cores: jobs that compute (pictures, big "+
			"fan-outs) will wait for a core before they wait for a thread.\n", n, p.cores)
	}
	fmt.Fprintf(c.out, "\nDead hosts add to the mean of push: 5 %% of deliveries that time out "+
		"after 10 s add 0.5 s to it, until their breakers have opened.\nNext: the same with "+
		"--units, and with --pgbouncer-ini.\n")
	return nil
}

// explainConnections prints the connections of each program, and their sum.
func (p *plan) explainConnections(c *call, s scheme) {
	fmt.Fprintf(c.out, "\nPostgres: max_connections %d - %d reserved = %d; %d of them stay free "+
		"for migrations and people\n", p.maxConnections, p.reserved, s.Available, s.Reserve)
	fmt.Fprintf(c.out, "  workers %d", s.Workers)
	for _, o := range s.Others {
		fmt.Fprintf(c.out, " + %s = %d", o.Owner, o.Connections)
	}
	fmt.Fprintf(c.out, ", in all %d\n", s.Clients)
	if len(s.Others) == 0 {
		fmt.Fprintln(c.out, "  (web and streaming processes are not counted: --web 2x5 "+
			"--streaming 1x10)")
	}
}

// explainFit prints whether the connections fit, and the remedies if they do not.
func (p *plan) explainFit(c *call, s scheme) {
	switch {
	case p.pooler:
		fmt.Fprintf(c.out, "  PgBouncer, pool_mode = transaction: default_pool_size = %d, "+
			"max_client_conn = %d, max_prepared_statements = 200 from 1.21 on\n", s.PoolSize,
			s.MaxClients)
		fmt.Fprintf(c.out, "  %d connections are left\n", s.Left)
	case s.Left < 0:
		fmt.Fprintf(c.out, "  that is %d too many. Either\n  - put PgBouncer in transaction mode "+
			"before it: the same plan with --pooler, or\n  - raise max_connections to %d (a "+
			"restart; each costs some MB), or\n  - give queues fewer threads, and accept that "+
			"they wait longer.\n",
			-s.Left, s.Clients+s.Reserve+p.reserved)
	default:
		fmt.Fprintf(c.out, "  %d connections are left\n", s.Left)
	}
}

// printUnits prints the commands that install the plan as systemd's units.
func (s scheme) printUnits(c *call) error {
	if r := s.Rotated; r != nil {
		var names []string
		for _, unit := range r.shares() {
			names = append(names, unit.unit())
		}
		return s.printInstall(c, r.flags(), names)
	}
	var split, names []string
	for _, q := range s.Queues {
		for i := range q.Processes {
			name := q.Queue
			if i > 0 {
				name = fmt.Sprintf("%s-%d", q.Queue, i+1)
			}
			split = append(split, fmt.Sprintf("%s=%d", name, q.Threads))
			names = append(names, "worker@"+name)
		}
	}
	return s.printInstall(c, "--split "+strings.Join(split, ","), names)
}

// printInstall prints the commands that install units with these flags, and start them.
func (s scheme) printInstall(c *call, flags string, names []string) error {
	fmt.Fprintf(c.out, "workerctl install-units %s\nsystemctl daemon-reload\nsystemctl "+
		"enable --now worker.target %s\n", flags, strings.Join(names, " "))
	return nil
}

// printINI prints the file of PgBouncer and the steps around it. auth_type = md5 takes a password
// that the server stores as SCRAM or as MD5. The user of the jobs may read the console, which
// doctor does, and change nothing there.
func (s scheme) printINI(c *call) error {
	fmt.Fprintf(c.out, `; /etc/pgbouncer/pgbouncer.ini
[databases]
mastodon_production = host=127.0.0.1 port=5432 dbname=mastodon_production

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = md5
auth_file = /etc/pgbouncer/userlist.txt
stats_users = mastodon
pool_mode = transaction
default_pool_size = %d
max_client_conn = %d
; from PgBouncer 1.21 on; then PREPARED_STATEMENTS=true works
; max_prepared_statements = 200

; 1. The user needs a password, which a stock Mastodon does not have (peer authentication):
;      sudo -u postgres psql -c '\password mastodon'
; 2. PgBouncer needs the secret that the server stores for it:
;      sudo -u postgres psql -Atc "SELECT format('\"%%s\" \"%%s\"', rolname, rolpassword)
;        FROM pg_authid WHERE rolname = 'mastodon'" | sudo tee /etc/pgbouncer/userlist.txt
; 3. sudo systemctl restart pgbouncer
; 4. For the workers, with the password of step 1:
;      DATABASE_URL=postgres://mastodon:PASSWORD@127.0.0.1:6432/mastodon_production
;      DIRECT_DATABASE_URL=postgres://mastodon:PASSWORD@127.0.0.1:5432/mastodon_production
; 5. workerctl doctor
`, s.PoolSize, s.MaxClients)
	return nil
}
