package dashboard

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// maxSelected is the most jobs of a form. A page shows fewer.
const maxSelected = 1000

// selected makes the act on the jobs that a person has ticked.
func selected(open func(*request) (source, error)) func(*request) (*outcome, error) {
	return func(q *request) (*outcome, error) {
		s, v, err := q.target(open)
		if err != nil {
			return nil, err
		}
		back := s.back(q)
		switch jids := q.PostForm["jid"]; {
		case len(jids) == 0:
			return &outcome{flash{q.t("flash.none"), true}, back}, nil
		case len(jids) > maxSelected:
			return nil, &problem{http.StatusBadRequest, q.t("problem.too_many", maxSelected)}
		}
		r := s.request(q, v)
		r.JIDs = q.PostForm["jid"]
		return q.operate(s, v, r, back)
	}
}

// matching makes the act on the jobs that a filter chooses, or on all. The form is that of the page
// that asked, and has the time when it counted: jobs that came later stay.
func matching(open func(*request) (source, error)) func(*request) (*outcome, error) {
	return func(q *request) (*outcome, error) {
		s, v, err := q.target(open)
		if err != nil {
			return nil, err
		}
		r := s.request(q, v)
		if r.Filter, err = inspect.ParseFilter(q.PostFormValue("filter")); err != nil {
			return nil, &problem{http.StatusBadRequest, err.Error()}
		}
		micros, err := strconv.ParseInt(q.PostFormValue("as_of"), 10, 64)
		if err != nil {
			return nil, &problem{http.StatusBadRequest, q.t("problem.as_of")}
		}
		now, err := q.in().Now(q.ctx)
		if err != nil {
			return nil, err
		}
		if r.AsOf = time.UnixMicro(micros); r.AsOf.After(now) {
			return nil, &problem{http.StatusBadRequest, q.t("problem.as_of")}
		}
		return q.operate(s, v, r, s.back(q))
	}
}

// target reads the source and the verb of a form.
func (q *request) target(open func(*request) (source, error)) (s source, v verb, err error) {
	if err := q.readForm(); err != nil {
		return s, v, err
	}
	if s, err = open(q); err != nil {
		return s, v, err
	}
	v, err = s.verb(q, q.FormValue("verb"))
	return s, v, err
}

// readForm reads the form of an act.
func (q *request) readForm() error {
	err := q.ParseForm()
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) {
		err = &problem{http.StatusBadRequest, err.Error()}
	}
	return err
}

// back is the page from which a form came. A form names only the query of its list, or its job.
func (s source) back(q *request) string {
	if jid := q.PostFormValue("job"); jid != "" {
		return q.d.path("jobs", jid)
	}
	query, err := url.ParseQuery(q.PostFormValue("back"))
	if err != nil || len(query) == 0 {
		return s.Path
	}
	return s.Path + "?" + query.Encode()
}

// confirmation is the data of the page that asks before an act on many jobs.
type confirmation struct {
	Source  source
	Verb    verb
	Filter  string
	Count   int64
	AtLeast bool // the count took too long
	AsOf    time.Time
}

// Micros is AsOf in a form.
func (c confirmation) Micros() int64 { return c.AsOf.UnixMicro() }

// confirm makes the page that counts jobs, and asks.
func confirm(open func(*request) (source, error)) func(*request) (*view, error) {
	return func(q *request) (*view, error) {
		s, v, err := q.target(open)
		if err != nil {
			return nil, err
		}
		f, err := inspect.ParseFilter(q.FormValue("filter"))
		if err != nil {
			return nil, &problem{http.StatusBadRequest, err.Error()}
		}
		c := confirmation{Source: s, Verb: v, Filter: f.String()}
		if c.AsOf, err = q.in().Now(q.ctx); err != nil {
			return nil, err
		}
		l := &jobList{Source: s}
		if f.Empty() {
			c.Count, err = s.size(q.ctx)
		} else {
			err = l.search(q.ctx, f)
			c.Count, c.AtLeast = l.Pager.Total, l.Pager.AtLeast
		}
		return &view{page: "confirm", nav: s.nav(), title: q.t("title.confirm"), data: c}, err
	}
}

// hostOf is the address from which a person changes something.
func hostOf(q *request) string {
	host, _, err := net.SplitHostPort(q.RemoteAddr)
	if err != nil {
		return q.RemoteAddr
	}
	return host
}
