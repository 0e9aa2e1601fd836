package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/text"
	"github.com/kyujobs/kyu/internal/version"
	"github.com/kyujobs/kyu/queue/inspect"
)

//go:embed pages/*.html
var pageFiles embed.FS

// frame is what all templates know.
type frame struct {
	Lang     string
	Title    string
	Nav      string // the entry of the page
	Person   access.Person
	Operator bool // the person may change single jobs; false if nobody may change anything
	Admin    bool // the person may change all jobs
	ReadOnly bool
	SignOut  bool
	Flash    *flash
	Here     string // the path of the page with its query
	Version  string
	Stream   string      // its address; "" if there is none
	Ticket   string      // the address of tickets for it; "" if it needs none
	Live     bool        // the content follows the stream
	Part     bool        // only the content is wanted
	Shards   []shardLink // nil if there is one Redis
	Away     []inspect.Away
	Data     any
}

// parsePages parses the templates for each language.
func (d *Dashboard) parsePages() error {
	d.pages = map[string]*template.Template{}
	for _, lang := range languages {
		t, err := template.New("").Funcs(d.functions(lang)).Funcs(measures).
			ParseFS(pageFiles, "pages/*.html")
		if err != nil {
			return err
		}
		d.pages[lang] = t
	}
	return nil
}

// functions are what templates can call.
func (d *Dashboard) functions(lang string) template.FuncMap {
	return template.FuncMap{
		"t":      func(key string, args ...any) string { return say(lang, key, args...) },
		"path":   d.path,
		"home":   d.home().path,
		"pathIn": d.pathIn,
		"asset":  d.assetPath,
		"n":      func(n any) string { return number(n) },
		"text":   text.Printable,
		"cut":    cut,
		"iso":    func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"clock":  func(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05 MST") },
		"ago":    func(at time.Time) string { return fromNow(lang, time.Until(at)) },
		"age":    func(seconds float64) string { return age(lang, seconds) },
		"ageOf":  func(seconds int) string { return age(lang, float64(seconds)) },
		"took":   func(seconds float64) string { return took(lang, seconds) },
		"share":  func(share float64) string { return percent(lang, share) },
		"failed": failedShare,
		"since":  func(at time.Time) string { return age(lang, time.Since(at).Seconds()) },
		"inLanguage": func(here, other string) string {
			path, query, _ := strings.Cut(here, "?")
			values, _ := url.ParseQuery(query)
			values.Set("lang", other)
			return path + "?" + values.Encode()
		},
		"measure":    func(unit string, v any) string { return measure(lang, unit, v) },
		"rowid":      rowID,
		"pagekey":    func(page string) string { return pageKeys[page] },
		"shortcuts":  func() []shortcut { return shortcuts },
		"navigation": func() []string { return navigation },
		"more":       d.moreFor,
		"among":      func(page string, list []string) bool { return slices.Contains(list, page) },
		"languages":  func() []string { return languages },
	}
}

// assetPath is the path of a file of the dashboard.
func (d *Dashboard) assetPath(name string) string {
	return d.home().Base + "/assets/" + assets[name].name
}

// navigation are the pages that are always in the navigation; the path of the first is the base.
// moreNavigation are those behind "More", which is open on each of them.
var (
	navigation = []string{"overview", "queues", "busy", "processes", "retries", "scheduled", "dead",
		"metrics"}
	moreNavigation = []string{"classes", "lanes", "held", "errors", "hosts", "locks", "cron",
		"operations", "audit", "redis", "postgres", "outbox", "settings"}
)

// rowID names a row of a live page in the document, by what it shows: so a row that moves stays the
// same row. Names of jobs and processes can have any characters, so it is a hash of them.
func rowID(what ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(what, "\x00")))
	return "row-" + hex.EncodeToString(sum[:8])
}

// cut is a text of at most max characters that cannot steer the page's direction.
func cut(max int, s string) string {
	if runes := []rune(s); len(runes) > max {
		s = string(runes[:max]) + "…"
	}
	return text.Printable(s)
}

// show answers with a view. The page is made before anything is sent, so an error has its own page.
func (q *request) show(v *view) {
	if v.page == "" {
		q.showJSON(v)
		return
	}
	b, err := q.render(v, false)
	if err != nil {
		http.Error(q.w, err.Error(), http.StatusInternalServerError)
		return
	}
	q.send(b, v.status)
}

// render makes the page of a view, or only its content.
func (q *request) render(v *view, part bool) ([]byte, error) {
	operator := !q.d.ReadOnly && q.person.Role >= access.Operator
	f := frame{Lang: q.lang, Title: v.title, Nav: v.nav, Person: q.person, Operator: operator,
		Admin: operator && q.person.Role >= access.Admin, ReadOnly: q.d.ReadOnly,
		SignOut: q.d.SignOut, Here: q.URL.RequestURI(), Version: version.Number,
		Stream: q.d.stream(), Ticket: q.d.ticketPath(), Part: part, Data: v.data,
		Shards: q.shardLinks(), Away: v.away}
	f.Live = v.live && f.Stream != ""
	if !part {
		f.Flash = q.takeFlash()
	}
	var b bytes.Buffer
	if err := q.d.pages[q.lang].ExecuteTemplate(&b, v.page+".html", f); err != nil {
		q.d.Log.Error("A page of the dashboard cannot be made", "page", v.page, "err", err)
		return nil, err
	}
	return b.Bytes(), nil
}

// send answers with a page. The status 0 is 200.
func (q *request) send(page []byte, status int) {
	h := q.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", q.lang)
	if status != 0 {
		q.w.WriteHeader(status)
	}
	q.w.Write(page)
}
