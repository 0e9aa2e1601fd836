package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// answerWithin is how long Redis may take for a page.
const answerWithin = 10 * time.Second

// request is a request of a person, and its answer.
type request struct {
	*http.Request
	d      *Dashboard
	w      http.ResponseWriter
	ctx    context.Context // ends before browsers give up
	cancel context.CancelFunc
	person access.Person
	lang   string // a language of the catalogue
}

// view is what a page shows.
type view struct {
	page   string // the template; "": data as JSON
	nav    string // the entry of the navigation
	title  string
	data   any
	status int            // 0: 200
	live   bool           // the content follows the stream
	away   []inspect.Away // shards that the page does not have
}

func (d *Dashboard) request(w http.ResponseWriter, r *http.Request) *request {
	q := &request{Request: r, d: d, w: w, person: access.From(r.Context()),
		lang: languageOf(r)}
	q.ctx, q.cancel = context.WithTimeout(r.Context(), answerWithin)
	return q
}

// in is the inspector.
func (q *request) in() *inspect.Inspector { return q.d.Inspector }

// rows makes the rows of lists.
func (q *request) rows() rows { return rows{q.d.redact} }

// t is a text of the catalogue, in the language of the person.
func (q *request) t(key string, args ...any) string { return say(q.lang, key, args...) }

// path is the path of a page. Each part is a name.
func (d *Dashboard) path(parts ...string) string {
	for i, part := range parts {
		parts[i] = segment(part)
	}
	return d.Base + "/" + strings.Join(parts, "/")
}

// answer carries out a route.
func (q *request) answer(r route) {
	if q.person.Role < r.role {
		q.fail(&problem{http.StatusForbidden, q.t("problem.role", q.t("role."+r.role.String()),
			q.t("role."+q.person.Role.String()))})
		return
	}
	if q.d.member != nil {
		if err := q.d.member.Answers(q.ctx); err != nil {
			q.fail(fmt.Errorf("shard %s: away: %w", q.d.member.Name, err))
			return
		}
	}
	if r.serve != nil {
		r.serve(q)
		return
	}
	if r.act != nil {
		q.Body = http.MaxBytesReader(q.w, q.Body, maxForm)
		done, err := r.act(q)
		q.d.contents.clear()
		if err != nil {
			q.fail(err)
			return
		}
		q.redirect(done)
		return
	}
	if r.live && q.Header.Get(contentHeader) != "" {
		q.answerContent(r)
		return
	}
	v, err := r.read(q)
	if err != nil {
		q.fail(err)
		return
	}
	v.live = r.live
	q.show(v)
}

// maxForm is the most bytes of a form.
const maxForm = 1 << 20

// asJSON makes the route of programs from the route of a page.
func asJSON(read func(*request) (*view, error)) func(*request) (*view, error) {
	return func(q *request) (*view, error) {
		v, err := read(q)
		if v != nil {
			v.page = ""
		}
		return v, err
	}
}

// problem is an error that has a status of HTTP and a text for people.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

// problemOf decides what an error means. What is neither known nor a problem of the request is an
// answer, or a silence, of Redis.
func (q *request) problemOf(err error) *problem {
	var p *problem
	var operation *queue.OperationError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, queue.ErrNotFound):
		return &problem{http.StatusNotFound, err.Error()}
	case errors.As(err, &operation), errors.Is(err, inspect.ErrEmbedded):
		return &problem{http.StatusConflict, err.Error()}
	case errors.As(err, &tooLarge):
		return &problem{http.StatusRequestEntityTooLarge, err.Error()}
	case errors.Is(err, context.DeadlineExceeded), redisdb.Over(q.ctx):
		return &problem{http.StatusServiceUnavailable, q.t("problem.slow",
			int(answerWithin.Seconds())) + " " + err.Error()}
	}
	return &problem{http.StatusServiceUnavailable, err.Error()}
}

// fail answers with a page that says what is wrong.
func (q *request) fail(err error) {
	p := q.problemOf(err)
	if p.status == http.StatusServiceUnavailable && q.Context().Err() == nil {
		q.d.Log.Warn("A page of the dashboard failed", "path", q.URL.Path, "err", err)
		q.w.Header().Set("Retry-After", "5")
	}
	v := &view{page: "problem", title: q.t("status." + statusKey(p.status)), status: p.status,
		data: problemPage{Error: p.text, Redis: p.status == http.StatusServiceUnavailable}}
	if strings.HasPrefix(q.URL.Path, q.d.Base+"/api/") {
		v.page = ""
	}
	q.show(v)
}

// problemPage is the data of the page of a problem.
type problemPage struct {
	Error string `json:"error"`
	Redis bool   `json:"-"` // it is Redis that fails
}

// statusKey names a status of HTTP in the catalogue.
func statusKey(status int) string {
	switch status {
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method"
	case http.StatusConflict:
		return "conflict"
	case http.StatusServiceUnavailable:
		return "unavailable"
	}
	return "bad"
}

// showJSON answers with the data of a view.
func (q *request) showJSON(v *view) {
	q.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if v.status != 0 {
		q.w.WriteHeader(v.status)
	}
	e := json.NewEncoder(q.w)
	e.SetIndent("", "  ")
	if err := e.Encode(v.data); err != nil {
		q.d.Log.Debug("An answer of the dashboard did not arrive", "err", err)
	}
}
