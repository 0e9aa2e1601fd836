package dashboard

import (
	"slices"
	"time"

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
	Source    *source          `json:"-"` // nil if no act changes the job where it is
}

// field is a field of a payload, with its JSON.
type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// shownApart are the fields that the page shows in places of their own.
var shownApart = []string{"args", "error_class", "error_message", "error_backtrace"}

func (q *request) job() (*view, error) {
	place, j, err := q.in().Locate(q.ctx, q.PathValue("jid"))
	if err != nil {
		return nil, err
	}
	p := &jobPage{row: newRow(j.Raw(), j, place.At), Place: place, Fields: []field{},
		Reasons: []inspect.Reason{}, Created: j.Time("created_at"), Failed: j.Time("failed_at"),
		Retried: j.Time("retried_at"), ErrorName: j.String("error_class"),
		ErrorText: j.String("error_message"), Backtrace: j.Backtrace()}
	reasons, err := q.in().Explain(q.ctx, place, j)
	if err != nil {
		return nil, err
	}
	p.Reasons = append(p.Reasons, reasons...)
	for _, name := range j.Fields() {
		if !slices.Contains(shownApart, name) {
			p.Fields = append(p.Fields, field{name, j.Field(name)})
		}
	}
	if p.Source, err = q.sourceOf(place, j); err != nil {
		return nil, err
	}
	return &view{page: "job", title: q.t("title.job", p.Class, p.JID), data: p}, nil
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
