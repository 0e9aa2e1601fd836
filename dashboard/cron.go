package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/queue"
)

// cronPage is the data of the page of the entries of schedules.
type cronPage struct {
	Entries []cronRow `json:"entries"` // by name
}

// cronRow is an entry. Its JSON is that of workerctl.
type cronRow struct{ cron.Status }

func (r cronRow) MarshalJSON() ([]byte, error) {
	e, err := cron.NewEntryJSON(r.Status)
	if err != nil {
		return nil, err
	}
	return json.Marshal(e)
}

// Gone reports whether no process pushes the entry, so that a person may delete it.
func (r cronRow) Gone() bool { return r.State == cron.Orphan || r.State == cron.Unserved }

// Warn reports whether the entry has a state that somebody should look at.
func (r cronRow) Warn() bool { return r.State != cron.Active && r.State != cron.Disabled }

// Due says when the entry is due, and Into is its queue.
func (r cronRow) Due() string  { return r.When() }
func (r cronRow) Into() string { return r.QueueName() }

// Argument is the arguments of the job, as JSON.
func (r cronRow) Argument() string {
	b, err := json.Marshal(r.Args)
	if err != nil || r.Args == nil {
		return "[]"
	}
	return string(b)
}

// cronEntryPage is the data of the page of an entry.
type cronEntryPage struct {
	Entry cronRow    `json:"entry"`
	Runs  []cron.Run `json:"runs"` // the latest first
}

func (q *request) control() cron.Control { return cron.Control{Store: q.d.Store} }

func (q *request) cron() (*view, error) {
	list, err := q.control().List(q.ctx)
	p := cronPage{Entries: []cronRow{}}
	for _, s := range list {
		p.Entries = append(p.Entries, cronRow{s})
	}
	return &view{page: "cron", nav: "cron", title: q.t("nav.cron"), data: p}, err
}

func (q *request) cronEntry() (*view, error) {
	name := q.PathValue("name")
	s, runs, err := q.control().Show(q.ctx, name)
	if err != nil {
		return nil, err
	}
	return &view{page: "cronentry", nav: "cron", title: q.t("cron.title", name),
		data: cronEntryPage{cronRow{s}, append([]cron.Run{}, runs...)}}, nil
}

// steerEntry does something with an entry, and records it. done is the key of the line that says
// so, with the name of the entry.
func (q *request) steerEntry(verb, done string, do func(name string) (what string,
	err error)) (*outcome, error) {
	name := q.PathValue("name")
	back := q.d.path("cron", name)
	what, err := do(name)
	var claim *queue.ClaimError
	switch {
	case errors.As(err, &claim), errors.Is(err, cron.ErrServed):
		return nil, &problem{http.StatusConflict, err.Error()}
	case err != nil:
		return nil, err
	case verb == "delete":
		back = q.d.path("cron")
	}
	q.acted("cron "+verb, what)
	return &outcome{flash{q.t(done, name), false}, back}, nil
}

// runEntry pushes the job of an entry now. Its slots do not change.
func (q *request) runEntry() (*outcome, error) {
	return q.steerEntry("run", "cron.ran", func(name string) (string, error) {
		jid, err := q.control().Run(q.ctx, name)
		return "pushed " + jid + " of " + name, err
	})
}

func (q *request) pauseEntry() (*outcome, error) {
	return q.steerEntry("pause", "cron.paused", func(name string) (string, error) {
		return "paused " + name, q.control().Pause(q.ctx, name)
	})
}

func (q *request) resumeEntry() (*outcome, error) {
	return q.steerEntry("resume", "cron.resumed", func(name string) (string, error) {
		return "resumed " + name, q.control().Resume(q.ctx, name)
	})
}

// deleteEntry deletes an entry that its schedule does not have any more.
func (q *request) deleteEntry() (*outcome, error) {
	return q.steerEntry("delete", "cron.deleted", func(name string) (string, error) {
		return "deleted " + name, q.control().Delete(q.ctx, name)
	})
}
