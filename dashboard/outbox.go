package dashboard

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/doctor"
)

// outboxRoutes are the page of the outbox, and the act on it.
func (d *Dashboard) outboxRoutes() []route { return d.both("/outbox", (*request).outbox) }

func (d *Dashboard) outboxActs() []route {
	return []route{{method: http.MethodPost, pattern: "/outbox/selected", role: access.Operator,
		act: (*request).changeOutbox}}
}

// outboxPage is the data of the page of jobs that are pushed in transactions of Postgres.
type outboxPage struct {
	Configured bool             `json:"configured"`
	Findings   []doctor.Finding `json:"findings"`
	Problem    string           `json:"problem,omitempty"` // why the table cannot be read
	*outbox.State
}

func (q *request) outbox() (*view, error) {
	address := q.d.Postgres.URL
	p := outboxPage{Configured: address != "", Findings: []doctor.Finding{}, State: &outbox.State{}}
	if p.Configured {
		err := q.d.oneLook(q.ctx, func() {
			s, err := outbox.Look(q.ctx, address)
			if err != nil {
				p.Problem = err.Error()
				return
			}
			p.State = s
			e := q.examination()
			e.Outbox(q.ctx)
			p.Findings = about(e.Findings, "outbox")
		})
		if err != nil {
			return nil, err
		}
	}
	return &view{page: "outbox", nav: "outbox", title: q.t("nav.outbox"), data: p}, nil
}

// changeOutbox lets rows that are kept aside wait again, or deletes them.
func (q *request) changeOutbox() (*outcome, error) {
	if err := q.readForm(); err != nil {
		return nil, err
	}
	back := q.d.path("outbox")
	var ids []int64
	for _, text := range q.PostForm["id"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, &problem{http.StatusBadRequest, q.t("outbox.no_id", text)}
		}
		ids = append(ids, id)
	}
	switch {
	case len(ids) == 0:
		return &outcome{flash{q.t("outbox.none_selected"), true}, back}, nil
	case len(ids) > maxSelected:
		return nil, &problem{http.StatusBadRequest, q.t("outbox.too_many", maxSelected)}
	}
	verb, change := "retry", outbox.Retry
	if q.PostFormValue("verb") == "drop" {
		verb, change = "drop", outbox.Drop
	}
	slices.Sort(ids)
	n, err := change(q.ctx, q.d.Postgres.URL, ids...)
	if err != nil {
		return nil, &problem{http.StatusBadGateway, err.Error()}
	}
	q.acted("outbox "+verb, number(n)+" rows of kyu_outbox")
	return &outcome{flash{q.t("outbox_done."+verb, number(n)), n < int64(len(ids))}, back}, nil
}
