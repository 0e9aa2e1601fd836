package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

// source is a place whose jobs a page lists, and acts change.
type source struct {
	Key   string // retries, scheduled, dead, held or queue
	Name  string // of the queue or of the held class
	Path  string // of the page
	Verbs []verb
	in    *inspect.Inspector
	rows  rows
	set   *inspect.JobSet // nil: the queue Name
}

// verb is what an act does to jobs.
type verb struct {
	Name  string // in forms, the audit and the catalogue
	Label string // its key in the catalogue
	verb  queue.Verb
}

var (
	verbRetry   = verb{"retry", "verb.retry", queue.VerbRetry}
	verbRun     = verb{"retry", "verb.run", queue.VerbRetry}
	verbRequeue = verb{"requeue", "verb.requeue", queue.VerbRequeue}
	verbRelease = verb{"release", "verb.release", queue.VerbRequeue}
	verbKill    = verb{"kill", "verb.kill", queue.VerbKill}
	verbDelete  = verb{"delete", "verb.delete", queue.VerbDelete}
)

// sources are the patterns of the pages of jobs, and how each finds its place.
var sources = map[string]func(*request) (source, error){
	"/retries": func(q *request) (source, error) {
		return source{Key: "retries", Path: q.d.path("retries"), in: q.in(),
			rows: q.rows(), set: q.in().RetrySet(),
			Verbs: []verb{verbRetry, verbRequeue, verbKill, verbDelete}}, nil
	},
	"/scheduled": func(q *request) (source, error) {
		return source{Key: "scheduled", Path: q.d.path("scheduled"), in: q.in(),
			rows: q.rows(), set: q.in().ScheduleSet(),
			Verbs: []verb{verbRun, verbKill, verbDelete}}, nil
	},
	"/dead": func(q *request) (source, error) {
		return source{Key: "dead", Path: q.d.path("dead"), in: q.in(),
			rows: q.rows(), set: q.in().DeadSet(),
			Verbs: []verb{verbRetry, verbRequeue, verbDelete}}, nil
	},
	"/held/{class}":  openHeld,
	"/queues/{name}": openQueue,
}

func openHeld(q *request) (source, error) {
	class := q.PathValue("class")
	list, err := q.in().HeldClasses(q.ctx)
	if err == nil && !slices.ContainsFunc(list,
		func(h inspect.Held) bool { return h.Class == class }) {
		err = &problem{http.StatusNotFound, q.t("problem.no_held", class)}
	}
	return source{Key: "held", Name: class, Path: q.d.path("held", class), in: q.in(),
		rows: q.rows(), set: q.in().HoldSet(class), Verbs: []verb{verbRelease, verbDelete}}, err
}

// openQueue refuses a queue that nobody knows: its name is probably a mistake.
func openQueue(q *request) (source, error) {
	name := q.PathValue("name")
	s := source{Key: "queue", Name: name, Path: q.d.path("queues", name), in: q.in(),
		rows: q.rows(), Verbs: []verb{verbKill, verbDelete}}
	info, err := q.in().Queue(q.ctx, name)
	if err != nil || info.Size > 0 || info.Paused {
		return s, err
	}
	list, err := q.in().Queues(q.ctx)
	if err != nil {
		return s, err
	}
	processes, err := q.in().Processes(q.ctx)
	known := slices.ContainsFunc(list, func(i inspect.QueueInfo) bool { return i.Name == name }) ||
		slices.ContainsFunc(processes,
			func(p inspect.Process) bool { return slices.Contains(p.Queues, name) })
	if err == nil && !known {
		err = &problem{http.StatusNotFound, q.t("problem.no_queue", name)}
	}
	return s, err
}

// heading is the title of the page.
func (s source) heading(q *request) string {
	switch s.Key {
	case "queue":
		return q.t("title.queue", s.Name)
	case "held":
		return q.t("title.held", s.Name)
	}
	return q.t("nav." + s.Key)
}

// nav is the entry of the navigation.
func (s source) nav() string {
	if s.Key == "queue" {
		return "queues"
	}
	return s.Key
}

// words are the place in the words of workerctl, for the audit.
func (s source) words() string {
	switch s.Key {
	case "queue":
		return "the queue " + s.Name
	case "held":
		return "held " + s.Name
	}
	return s.Key
}

// verb finds a verb of the source by its name in a form.
func (s source) verb(q *request, name string) (verb, error) {
	for _, v := range s.Verbs {
		if v.Name == name {
			return v, nil
		}
	}
	return verb{}, &problem{http.StatusBadRequest, q.t("problem.verb", cmp.Or(name, `""`))}
}

// request is a bulk operation on the source.
func (s source) request(q *request, v verb) inspect.Request {
	r := inspect.Request{Verb: v.verb, By: q.person.Name, Host: hostOf(q)}
	if s.set == nil {
		r.Queue = s.Name
	} else {
		r.Set = s.set.Name()
	}
	return r
}

// size is how many jobs the source has.
func (s source) size(ctx context.Context) (int64, error) {
	if s.set != nil {
		return s.set.Size(ctx)
	}
	info, err := s.in.Queue(ctx, s.Name)
	return info.Listed(), err
}

// page returns jobs without a search.
func (s source) page(ctx context.Context, offset, count int64) (list []row, err error) {
	if s.set != nil {
		entries, err := s.set.Page(ctx, offset, count)
		for _, e := range entries {
			list = append(list, s.rows.row(e.Raw, e.Job, e.At))
		}
		return list, err
	}
	page, err := s.in.QueuePage(ctx, s.Name, offset, count)
	for _, raw := range page {
		j, _ := envelope.ParseJob(raw)
		list = append(list, s.rows.row(raw, j, time.Time{}))
	}
	return list, err
}

// search calls fn with the jobs that a filter chooses and that came before a time. Most are only
// counted: row makes the row of one.
func (s source) search(ctx context.Context, f inspect.Filter, asOf time.Time,
	fn func(row func() row)) (seen, matched int64, err error) {
	if s.set != nil {
		t, err := s.set.Search(ctx, f, asOf, func(e queue.Entry) {
			fn(func() row { return s.rows.row(e.Raw, e.Job, e.At) })
		})
		return int64(t.Seen), int64(t.Matched), err
	}
	t, err := s.in.QueueWhere(ctx, s.Name, f, asOf, func(raw string, j *queue.Job) bool {
		fn(func() row { return s.rows.row(raw, j, time.Time{}) })
		return true
	})
	return int64(t.Seen), int64(t.Matched), err
}

// row is a job in a list.
type row struct {
	JID     string    `json:"jid"`
	Class   string    `json:"class"`
	Queue   string    `json:"queue"`
	Args    string    `json:"args"` // as JSON
	At      time.Time `json:"at,omitzero"`
	Retries *int      `json:"retry_count,omitempty"`
	Error   string    `json:"error,omitempty"`
	IsJob   bool      `json:"is_job"` // the bytes are a job
}

// rows makes rows of payloads.
type rows struct {
	redact *redactor // nil: everything is shown
}

// row makes a row of a payload. j is nil if it is no job. The zero at stands for the time when the
// job came into its queue.
func (s rows) row(raw string, j *queue.Job, at time.Time) row {
	if j == nil {
		return row{Args: s.redact.json(raw), At: at}
	}
	r := row{JID: j.JID, Class: j.DisplayClass(), Queue: j.Queue,
		Args: s.redact.json(string(j.DisplayArgs())), At: at, IsJob: true}
	if at.IsZero() {
		r.At = j.Enqueued()
	}
	if n, ok := j.RetryCount(); ok {
		n++ // the field counts from 0
		r.Retries = &n
	}
	if class := j.String("error_class"); class != "" {
		r.Error = fmt.Sprintf("%s: %s", class, j.String("error_message"))
	}
	return r
}
