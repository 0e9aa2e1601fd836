package dashboard

import (
	"net/http"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// processesPage is the data of the page of processes.
type processesPage struct {
	Processes []inspect.Process `json:"processes"`
	Pager     pager             `json:"page"`
}

func (q *request) processes() (*view, error) {
	list, err := q.in().Processes(q.ctx)
	p := processesPage{Pager: q.pager()}
	p.Processes = append([]inspect.Process{}, part(&p.Pager, list)...)
	return &view{page: "processes", nav: "processes", title: q.t("nav.processes"), data: p}, err
}

// processPage is the data of the page of a process.
type processPage struct {
	Process  inspect.Process   `json:"process"`
	Runs     []run             `json:"runs"`
	Problems []inspect.Finding `json:"problems"`
}

func (q *request) process() (*view, error) {
	identity := q.PathValue("identity")
	list, err := q.in().ProcessesOf(q.ctx, identity)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, &problem{http.StatusNotFound, q.t("problem.no_process", identity)}
	}
	work, err := q.in().WorkOf(q.ctx, identity)
	if err != nil {
		return nil, err
	}
	p := processPage{Process: list[0], Runs: []run{}, Problems: []inspect.Finding{}}
	p.Problems = append(p.Problems, p.Process.Problems(time.Now())...)
	for _, w := range work {
		p.Runs = append(p.Runs, q.rows().run(w))
	}
	return &view{page: "process", nav: "processes", title: q.t("title.process", identity),
		data: p}, nil
}

func (q *request) quiet() (*outcome, error) { return q.signal("quiet", "TSTP") }
func (q *request) stop() (*outcome, error)  { return q.signal("stop", "TERM") }

// signal tells a process to be quiet or to stop. It reads the signal with its next beat.
func (q *request) signal(verb, name string) (*outcome, error) {
	identity := q.PathValue("identity")
	if err := q.in().Signal(q.ctx, identity, name); err != nil {
		return nil, err
	}
	q.acted(verb, name+" → "+identity)
	return &outcome{flash{q.t("flash."+verb, identity), false}, q.d.path("processes",
		identity)}, nil
}
