package dashboard

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// run is a running job in a list. Its time is when the run began.
type run struct {
	Process string `json:"process"`
	TID     string `json:"tid"`
	row
}

// run makes a row of what a process runs.
func (s rows) run(w inspect.Work) run {
	r := run{w.Process, w.TID, s.row(w.Payload, w.Job, w.RunAt)}
	r.Queue = w.Queue
	return r
}

// busyPage is the data of the page of running jobs.
type busyPage struct {
	Filter  string `json:"filter"`
	Problem string `json:"problem,omitempty"`
	Runs    []run  `json:"runs"`
	Pager   pager  `json:"page"`
}

func (q *request) busy() (*view, error) {
	p := busyPage{Filter: strings.TrimSpace(q.FormValue("filter")), Pager: q.pager(), Runs: []run{}}
	v := &view{page: "busy", nav: "busy", title: q.t("nav.busy")}
	f, wrong := inspect.ParseFilter(p.Filter)
	if wrong != nil {
		p.Problem, v.status, v.data = wrong.Error(), http.StatusBadRequest, p
		return v, nil
	}
	work, err := q.in().WorkInProgress(q.ctx)
	now := time.Now()
	work = slices.DeleteFunc(work,
		func(w inspect.Work) bool { return !f.Match(w.Payload, w.Job, now) })
	for _, w := range part(&p.Pager, work) {
		p.Runs = append(p.Runs, q.rows().run(w))
	}
	v.data = p
	return v, err
}
