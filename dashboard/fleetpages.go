package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

// fleetOverview is the data of the first page of several shards.
type fleetOverviewPage struct {
	overviewPage
	Queues []inspect.FleetQueue   `json:"queues"`
	Stuck  []inspect.FleetFinding `json:"stuck"`
	Shards shardsPage             `json:"shards"`
	Away   []inspect.Away         `json:"away,omitempty"`
}

func (q *request) fleetOverview() (*view, error) {
	f := q.d.Fleet
	p := fleetOverviewPage{Queues: []inspect.FleetQueue{}, Stuck: []inspect.FleetFinding{}}
	stats, err := f.Stats(q.ctx)
	if err != nil {
		return nil, err
	}
	p.Stats, p.Away = stats.Stats, stats.Away
	processes, _, err := f.Processes(q.ctx)
	if err != nil {
		return nil, err
	}
	for _, process := range processes {
		p.Threads += process.Concurrency
	}
	queues, _, err := f.QueueStatus(q.ctx)
	if err != nil {
		return nil, err
	}
	stuck, err := f.Stuck(q.ctx, 0)
	if err != nil {
		return nil, err
	}
	if p.Days, _, err = f.History(q.ctx, overviewDays); err != nil {
		return nil, err
	}
	shards, err := f.Status(q.ctx)
	p.Queues, p.Stuck = append(p.Queues, queues...), append(p.Stuck, stuck...)
	p.Shards, p.Chart = shardsPage{shards, q.d}, bars(p.Days)
	return &view{page: "fleetoverview", nav: "overview", title: q.t("nav.overview"), data: p,
		away: p.Away}, err
}

func (q *request) fleetQueues() (*view, error) {
	list, away, err := q.d.Fleet.QueueStatus(q.ctx)
	return &view{page: "fleetqueues", nav: "queues", title: q.t("nav.queues"), away: away,
		data: append([]inspect.FleetQueue{}, list...)}, err
}

// fleetQueue is the page of a queue: what each shard has of it.
func (q *request) fleetQueue() (*view, error) {
	name := q.PathValue("name")
	list, away, err := q.d.Fleet.QueueStatus(q.ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(q inspect.FleetQueue) bool { return q.Name == name })
	if i < 0 {
		found, _, err := q.d.Fleet.Queue(q.ctx, name)
		if err != nil {
			return nil, err
		}
		processes, _, err := q.d.Fleet.Processes(q.ctx)
		serves := func(p inspect.FleetProcess) bool { return slices.Contains(p.Queues, name) }
		if err == nil && !found.Paused && !slices.ContainsFunc(processes, serves) {
			err = &problem{http.StatusNotFound, q.t("problem.no_queue", name)}
		}
		list, i = []inspect.FleetQueue{found}, 0
		if err != nil {
			return nil, err
		}
	}
	return &view{page: "fleetqueue", nav: "queues", title: q.t("title.queue", name), away: away,
		data: &list[i]}, nil
}

// fleetProcessesPage is the data of the page of processes.
type fleetProcessesPage struct {
	Processes []inspect.FleetProcess `json:"processes"`
	Pager     pager                  `json:"page"`
}

func (q *request) fleetProcesses() (*view, error) {
	list, away, err := q.d.Fleet.Processes(q.ctx)
	p := fleetProcessesPage{Pager: q.pager()}
	p.Processes = append([]inspect.FleetProcess{}, part(&p.Pager, list)...)
	return &view{page: "fleetprocesses", nav: "processes", title: q.t("nav.processes"), data: p,
		away: away}, err
}

// fleetProcessPage is the data of the page of a process.
type fleetProcessPage struct {
	Process  inspect.FleetProcess `json:"process"`
	Runs     []fleetRun           `json:"runs"`
	Problems []inspect.Finding    `json:"problems"`
}

// fleetRun is a running job of a shard.
type fleetRun struct {
	run
	Shard string `json:"shard"`
}

func (q *request) fleetProcess() (*view, error) {
	found, away, err := q.processOf(q.PathValue("identity"))
	if err != nil {
		return nil, err
	}
	p := fleetProcessPage{Process: found, Runs: []fleetRun{}, Problems: []inspect.Finding{}}
	p.Problems = append(p.Problems, found.Problems(time.Now())...)
	work, _, err := q.d.Fleet.WorkInProgress(q.ctx)
	for _, w := range work {
		if found.Has(w.Process) {
			p.Runs = append(p.Runs, fleetRun{q.rows().run(w.Work), w.Shard})
		}
	}
	return &view{page: "fleetprocess", nav: "processes", title: q.t("title.process",
		found.Identity), data: p, away: away}, err
}

// processOf finds a process by its identity in any shard.
func (q *request) processOf(identity string) (p inspect.FleetProcess, away []inspect.Away,
	err error) {
	list, away, err := q.d.Fleet.Processes(q.ctx)
	if err != nil {
		return p, away, err
	}
	i := slices.IndexFunc(list, func(p inspect.FleetProcess) bool { return p.Has(identity) })
	if i < 0 {
		return p, away, &problem{http.StatusNotFound, q.t("problem.no_process", identity)}
	}
	return list[i], away, nil
}

// fleetBusyPage is the data of the page of running jobs.
type fleetBusyPage struct {
	Filter  string     `json:"filter"`
	Problem string     `json:"problem,omitempty"`
	Runs    []fleetRun `json:"runs"`
	Pager   pager      `json:"page"`
}

func (q *request) fleetBusy() (*view, error) {
	p := fleetBusyPage{Filter: strings.TrimSpace(q.FormValue("filter")), Pager: q.pager(),
		Runs: []fleetRun{}}
	v := &view{page: "fleetbusy", nav: "busy", title: q.t("nav.busy")}
	f, wrong := inspect.ParseFilter(p.Filter)
	if wrong != nil {
		p.Problem, v.status, v.data = wrong.Error(), http.StatusBadRequest, p
		return v, nil
	}
	work, away, err := q.d.Fleet.WorkInProgress(q.ctx)
	now := time.Now()
	work = slices.DeleteFunc(work, func(w inspect.FleetWork) bool {
		return !f.Match(w.Payload, w.Job, now)
	})
	for _, w := range part(&p.Pager, work) {
		p.Runs = append(p.Runs, fleetRun{q.rows().run(w.Work), w.Shard})
	}
	v.data, v.away = p, away
	return v, err
}

// fleetRow is a job of a set, and its shard.
type fleetRow struct {
	row
	Shard string `json:"shard"`
}

// fleetJobList is the data of a page of jobs.
type fleetJobList struct {
	Source  source      `json:"-"`
	Filter  string      `json:"filter"`
	Problem string      `json:"problem,omitempty"` // of the filter
	Jobs    []fleetRow  `json:"jobs"`
	Pager   pager       `json:"page"`
	Back    string      `json:"-"` // the query of the page, for forms
	Bulk    []shardLink `json:"-"` // where all jobs of a shard can be changed
}

// When is the key of the title of the column of times.
func (l *fleetJobList) When() string { return "when." + l.Source.Key }

// fleetSets are the sets of the pages of jobs.
var fleetSets = map[string]func(*inspect.Inspector) *inspect.JobSet{
	"/retries": (*inspect.Inspector).RetrySet, "/scheduled": (*inspect.Inspector).ScheduleSet,
	"/dead": (*inspect.Inspector).DeadSet}

// fleetJobs makes the page of a set.
func fleetJobs(pattern string) func(*request) (*view, error) {
	return func(q *request) (*view, error) {
		first := *q
		first.d = q.d.below[0]
		s, err := sources[pattern](&first) // its verbs are those of all shards
		if err != nil {
			return nil, err
		}
		s.Path = q.d.path(strings.TrimPrefix(pattern, "/"))
		l := &fleetJobList{Source: s, Filter: strings.TrimSpace(q.FormValue("filter")),
			Pager: q.pager(), Back: q.URL.RawQuery, Jobs: []fleetRow{}, Bulk: q.shardLinks()[1:]}
		v := &view{page: "fleetjobs", nav: s.nav(), title: s.heading(q), data: l}
		f, wrong := inspect.ParseFilter(l.Filter)
		if wrong != nil {
			l.Problem, v.status = wrong.Error(), http.StatusBadRequest
			return v, nil
		}
		v.away, err = l.read(q, q.d.Fleet.Set(fleetSets[pattern]), f)
		return v, err
	}
}

// read lists the jobs, or those that a filter chooses.
func (l *fleetJobList) read(q *request, set inspect.FleetSet, f inspect.Filter) ([]inspect.Away,
	error) {
	var p inspect.FleetPage
	var err error
	if f.Empty() {
		p, err = set.Page(q.ctx, l.Pager.offset(), pageSize)
	} else {
		within, cancel := context.WithTimeout(q.ctx, q.d.searchTime)
		defer cancel()
		p, err = set.Search(within, f, time.Now(), l.Pager.offset(), pageSize)
		if err != nil && q.ctx.Err() == nil && redisdb.Over(within) {
			p.More, err = true, nil
		}
	}
	for _, e := range p.Entries {
		l.Jobs = append(l.Jobs, fleetRow{q.rows().row(e.Raw, e.Job, e.At), e.Shard})
	}
	l.Pager.AtLeast, l.Pager.Read = p.More, p.Read
	l.Pager.shows(len(l.Jobs), p.Total)
	return p.Away, err
}

// fleetJob leads to the page of a job in its shard. The shard's page searches again, from where
// this search has found the job at once: most jobs are found by it.
func (q *request) fleetJob() {
	jid := q.PathValue("jid")
	within, cancel := context.WithTimeout(q.ctx, q.d.searchTime)
	defer cancel()
	m, _, _, err := q.d.Fleet.Locate(within, jid)
	if err != nil && q.ctx.Err() == nil && redisdb.Over(within) {
		links := q.shardLinks()[1:]
		q.show(&view{page: "choose", title: q.t("title.locate", jid), data: links})
		return
	}
	if err != nil {
		q.fail(err)
		return
	}
	path := q.d.pathIn(m.Name, "jobs", jid)
	if q.URL.RawQuery != "" {
		path += "?" + q.URL.RawQuery
	}
	http.Redirect(q.w, q.Request, path, http.StatusSeeOther)
}

// fleetSidekiqStats is the answer of Sidekiq's Web UI, of all shards.
func (q *request) fleetSidekiqStats() (*view, error) {
	s, err := q.d.Fleet.Stats(q.ctx)
	if err != nil {
		return nil, err
	}
	shards, err := q.d.Fleet.Status(q.ctx)
	return &view{data: map[string]any{
		"sidekiq": map[string]any{"processed": s.Processed, "failed": s.Failed, "busy": s.Busy,
			"processes": s.Processes, "enqueued": s.Enqueued, "scheduled": s.Scheduled,
			"retries": s.Retries, "dead": s.Dead, "default_latency": s.DefaultLatency},
		"shards":          shards,
		"server_utc_time": time.Now().UTC().Format("15:04:05 UTC"),
	}}, err
}

// fleetSidekiqQueues are the sizes of the queues, as Sidekiq's Web UI answers.
func (q *request) fleetSidekiqQueues() (*view, error) {
	list, _, err := q.d.Fleet.Queues(q.ctx)
	sizes := map[string]int64{}
	for _, info := range list {
		sizes[info.Name] = info.Size
	}
	return &view{data: sizes}, err
}

func (q *request) pauseAll() (*outcome, error) {
	return q.steerAll("pause", "paused ", q.d.Fleet.Pause)
}

func (q *request) unpauseAll() (*outcome, error) {
	return q.steerAll("unpause", "unpaused ", q.d.Fleet.Unpause)
}

// steerAll pauses a queue in all shards, or ends its pause.
func (q *request) steerAll(verb, done string,
	change func(context.Context, string) ([]inspect.Away, error)) (*outcome, error) {
	name := q.PathValue("name")
	if !envelope.QueueName(name) {
		return nil, &problem{http.StatusBadRequest, q.t("problem.no_queue", name)}
	}
	if _, err := q.fleetQueue(); err != nil {
		return nil, err
	}
	away, err := change(q.ctx, name)
	if err != nil {
		return nil, err
	}
	q.actedEverywhere("queue "+verb, done+name)
	return &outcome{flash{q.t("flash."+verb, name) + awayText(q, away), len(away) > 0},
		q.d.path("queues", name)}, nil
}

func (q *request) quietAll() (*outcome, error) { return q.signalAll("quiet", "TSTP") }
func (q *request) stopAll() (*outcome, error)  { return q.signalAll("stop", "TERM") }

// signalAll tells a process in all its shards to be quiet or to stop.
func (q *request) signalAll(verb, name string) (*outcome, error) {
	p, _, err := q.processOf(q.PathValue("identity"))
	if err != nil {
		return nil, err
	}
	away, err := q.d.Fleet.Signal(q.ctx, p, name)
	if err != nil {
		return nil, err
	}
	q.actedEverywhere(verb, fmt.Sprintf("%s → %s", name, p.Identity))
	return &outcome{flash{q.t("flash."+verb, p.Identity) + awayText(q, away), len(away) > 0},
		q.d.path("processes", p.Identity)}, nil
}
