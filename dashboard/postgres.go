package dashboard

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/database/activity"
	"github.com/kyujobs/kyu/internal/doctor"
)

// Postgres says which servers the page of Postgres shows. All fields are optional.
type Postgres struct {
	database.Config        // of the jobs; without a URL the page says how to give one
	Direct          string // the address of the primary without its pooler; empty: the URL
	PgBouncer       string // the address of its admin console; empty: beside the URL
	RubyPool        int    // the pool of a process of Ruby; 0: one connection for each thread
	// Web and Streaming are processes that are not workers, and the connections of each: 2x5.
	Web, Streaming string
}

// defaultLag is how far a replica may be behind without another setting, as in package database.
const defaultLag = 5 * time.Second

// postgresPage is the data of the page of Postgres.
type postgresPage struct {
	Configured bool                 `json:"configured"`
	Findings   []doctor.Finding     `json:"findings"` // of doctor
	Pools      []doctor.Pool        `json:"pools"`    // what all processes may open
	Servers    []*activity.Activity `json:"servers"`  // the primary first; those that answer
}

// Sum is how many connections all processes may open together.
func (p postgresPage) Sum() (sum int) {
	for _, pool := range p.Pools {
		sum += pool.Connections
	}
	return sum
}

// Available is how many connections ordinary users get of a server, and Percent the share of them
// that is open.
func (p postgresPage) Available(a *activity.Activity) int { return a.Most - a.Reserved }

func (p postgresPage) Percent(a *activity.Activity) int {
	return a.Used * 100 / max(1, p.Available(a))
}

func (q *request) postgres() (*view, error) {
	o := q.d.Postgres
	p := postgresPage{Configured: o.URL != "", Findings: []doctor.Finding{},
		Pools: []doctor.Pool{}, Servers: []*activity.Activity{}}
	if p.Configured {
		if err := q.d.oneLook(q.ctx, func() { p.look(q) }); err != nil {
			return nil, err
		}
	}
	return &view{page: "postgres", nav: "postgres", title: q.t("nav.postgres"), data: p}, nil
}

// oneLook calls fn when no other page looks at Postgres: the pages of many persons open no more
// connections than that of one.
func (d *Dashboard) oneLook(ctx context.Context, fn func()) error {
	select {
	case d.looking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.looking }()
	fn()
	return nil
}

// look examines the servers. One that does not answer is a finding.
func (p *postgresPage) look(q *request) {
	o := q.d.Postgres
	for i, address := range slices.Concat([]string{cmp.Or(o.Direct, o.URL)}, o.Replicas) {
		if a, err := activity.Read(q.ctx, address); err == nil {
			p.Servers = append(p.Servers, a)
		} else {
			q.d.Log.Debug("A server of Postgres does not answer", "number", i, "err", err)
		}
	}
	e := q.examination()
	e.Database.MaxLag = cmp.Or(o.MaxLag, defaultLag)
	e.Fleet(q.ctx)
	e.Postgres(q.ctx)
	p.Findings = about(e.Findings, "postgres", "pgbouncer", "replica")
	others, _ := e.Others.Pools() // doctor has reported the error
	p.Pools = append(append(p.Pools, e.Pools...), others...)
}
