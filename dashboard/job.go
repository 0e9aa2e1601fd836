package dashboard

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// jobPage is the data of the page of a job.
type jobPage struct {
	row
	Place     inspect.Place    `json:"place"`
	Reasons   []inspect.Reason `json:"reasons"`
	Fields    []field          `json:"fields"` // the others than args and those of the error
	Created   time.Time        `json:"created_at,omitzero"`
	Failed    time.Time        `json:"failed_at,omitzero"`
	Retried   time.Time        `json:"retried_at,omitzero"`
	ErrorText string           `json:"error_message,omitempty"`
	ErrorName string           `json:"error_class,omitempty"`
	Backtrace []string         `json:"backtrace,omitempty"`
	Timeline  []moment         `json:"timeline"`
	Hidden    bool             `json:"hidden"` // values are hidden
	MayShow   bool             `json:"-"`      // the person may see them
	Source    *source          `json:"-"`      // nil if no act changes the job where it is
}

// field is a field of a payload, with its JSON.
type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// shownApart are the fields that the page shows in places of their own.
var shownApart = []string{"args", "error_class", "error_message", "error_backtrace"}

func (q *request) job() (*view, error) {
	redact, err := q.mayShow()
	if err != nil {
		return nil, err
	}
	place, j, searching, err := q.locate(q.PathValue("jid"))
	if searching != nil || err != nil {
		return searching, err
	}
	p := &jobPage{row: rows{redact}.row(j.Raw(), j, place.At), Place: place, Fields: []field{},
		MayShow: q.person.Role >= access.Admin, Reasons: []inspect.Reason{},
		Created: j.Time("created_at"), Failed: j.Time("failed_at"),
		Retried: j.Time("retried_at"), ErrorName: j.String("error_class"),
		ErrorText: j.String("error_message"), Backtrace: j.Backtrace()}
	p.addFields(j, redact)
	if err := p.explain(q, j); err != nil {
		return nil, err
	}
	if p.Source, err = q.sourceOf(place, j); err != nil {
		return nil, err
	}
	if redact == nil {
		q.acted("show", "looked at hidden values of the job "+j.JID)
	}
	return &view{page: "job", title: q.t("title.job", p.Class, p.JID), data: p}, nil
}

// mayShow returns what hides values of the job: nothing for an admin who asks to see all.
func (q *request) mayShow() (*redactor, error) {
	if q.FormValue("hidden") != "show" {
		return q.d.redact, nil
	}
	if q.person.Role < access.Admin {
		return nil, &problem{http.StatusForbidden, q.t("problem.role",
			q.t("role."+access.Admin.String()), q.t("role."+q.person.Role.String()))}
	}
	return nil, nil
}

// addFields adds the fields of the payload, and notes whether anything of it is hidden.
func (p *jobPage) addFields(j *queue.Job, redact *redactor) {
	p.Hidden = p.Args != string(j.DisplayArgs())
	for _, name := range j.Fields() {
		if !slices.Contains(shownApart, name) {
			f := field{name, redact.value(name, j.Field(name))}
			p.Hidden = p.Hidden || f.Value != j.Field(name)
			p.Fields = append(p.Fields, f)
		}
	}
}

// explain adds why the job is where it is, and its timeline.
func (p *jobPage) explain(q *request, j *queue.Job) error {
	reasons, err := q.in().Explain(q.ctx, p.Place, j)
	if err != nil {
		return err
	}
	locks, err := unique.NewLocks(q.d.Store).Explain(q.ctx, j)
	if err != nil {
		return err
	}
	lane, err := q.laneControl().Explain(q.ctx, p.Place)
	if err != nil {
		return err
	}
	p.Reasons = slices.Concat(p.Reasons, reasons, lane, locks)
	var started time.Time
	if p.Place.Process != "" {
		work, err := q.in().WorkOf(q.ctx, p.Place.Process)
		if err != nil {
			return err
		}
		for _, w := range work {
			if w.Job != nil && w.Job.JID == j.JID {
				started = w.RunAt
			}
		}
	}
	var o *inspect.Operation
	if p.Place.Operation != "" {
		o, err = q.in().Operation(q.ctx, p.Place.Operation)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
	}
	p.Timeline = timeline(p.Place, j, started, o, time.Now())
	return nil
}

// sourceOf is the source whose acts can change a job, or nil.
func (q *request) sourceOf(p inspect.Place, j *queue.Job) (*source, error) {
	pattern := map[inspect.PlaceKind]string{inspect.InRetry: "/retries", inspect.InDead: "/dead",
		inspect.InSchedule: "/scheduled", inspect.InHold: "/held/{class}",
		inspect.InQueue: "/queues/{name}"}[p.Kind]
	if pattern == "" || j.JID == "" {
		return nil, nil
	}
	q.SetPathValue("class", p.Class)
	q.SetPathValue("name", p.Queue)
	s, err := sources[pattern](q)
	return &s, err
}
