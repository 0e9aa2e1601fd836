// Package dashboard shows a fleet in a browser: queues, jobs, processes, operations. It is an
// http.Handler, to be mounted in a program at any path. Its pages need no JavaScript.
//
//	d, err := dashboard.New(dashboard.Options{Store: store, Inspector: inspect.New(store),
//		Base: "/kyu", Access: access, Log: log})
//	...
//	defer d.Close()
//	mux.Handle("/kyu/", d)
package dashboard

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/kyujobs/kyu/dashboard/live"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// Access decides who may use the dashboard.
type Access interface {
	// Wrap lets requests of known persons through, with the access.Person in the context, and
	// answers others.
	Wrap(next http.Handler) http.Handler
}

// Options are the settings of a dashboard.
type Options struct {
	Store     *queue.Store       // opened with all capabilities whose jobs it deletes
	Inspector *inspect.Inspector // of Store
	// Fleet has several shards, instead of Store and Inspector: the pages show all of them, and the
	// pages of each are below /shards. A Fleet of one shard is the same as its Store.
	Fleet *inspect.Fleet
	// Base is the path below which the dashboard is mounted, such as "/kyu". The empty Base is the
	// root. Requests arrive with it: a proxy in front passes paths on unchanged.
	Base     string
	Access   Access
	ReadOnly bool // nobody can change anything: there are no routes for it
	// SignOut says that Access serves POST /logout below Base: the pages have a button for it.
	SignOut bool
	// Redact are names of keys, such as "api_key". The values of arguments and fields of jobs with
	// such keys are shown only to an admin who asks for them on the page of a job, which the audit
	// records. nil: DefaultRedact; empty: none.
	Redact []string
	// Live is the stream, a live.Hub with State as its Sample. It is served at /live below Base, to
	// viewers. nil: pages show the state of the moment when they were loaded, if there is no
	// StreamURL either.
	Live http.Handler
	// StreamURL is the address below which a Hub of another listener or process is, such as
	// "https://stream.example.com": the stream is its /live. Tickets must be set.
	StreamURL string
	// Tickets let persons of the pages open the stream of StreamURL. Their key is that of the Hub's
	// process. They are issued at /ticket below Base, to viewers.
	Tickets *live.Tickets
	// Origins are other origins whose pages may send forms, such as "https://example.com": those of
	// a proxy that does not pass the header Host on unchanged.
	Origins []string
	// Postgres has the servers of the page of Postgres, and Cache is the Redis of the cache, which
	// the page of Redis compares with that of the queues; nil: it is not looked at.
	Postgres Postgres
	Cache    *queue.Config
	// Jobs is the Redis of package jobs, in which the breakers of hosts are; nil: that of Store.
	Jobs redis.Cmdable
	// Settings are those of the program, for the page of settings.
	Settings []Setting
	Log      *slog.Logger // nil: slog.Default()
}

// Dashboard is the handler. It is safe for concurrent use.
type Dashboard struct {
	Options
	router   *router
	handler  http.Handler
	below    []*Dashboard    // those of the shards
	over     *Dashboard      // of a shard: that of all
	member   *inspect.Member // of a shard
	redact   *redactor
	pages    map[string]*template.Template // by language
	csp      string
	contents contents

	patience   time.Duration // see the constant
	searchTime time.Duration // see the constant
	looking    chan struct{} // see oneLook

	// Operations run in the background, bound to this context.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	mu     sync.Mutex
	closed bool // no operation begins any more
}

// New returns a dashboard. The caller closes it, and then the Store. The error names everything
// that is wrong with the options.
func New(o Options) (*Dashboard, error) {
	if o.Fleet != nil && !o.Fleet.Several() {
		m := o.Fleet.Members()[0]
		o.Store, o.Inspector, o.Fleet = m.Store, m.Inspector, nil
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := newDashboard(o)
	d.router = newRouter(d)
	if err := errors.Join(d.parsePages(), d.addRoutes()); err != nil {
		d.Close()
		return nil, err
	}
	guard := o.guard()
	guard.SetDenyHandler(http.HandlerFunc(d.crossOrigin))
	inside := d.languages(o.Access.Wrap(d.router))
	outside := http.NewServeMux()
	outside.Handle(o.Base+"/", inside)
	outside.Handle("GET "+o.Base+"/assets/{file}", http.HandlerFunc(serveAsset))
	d.handler = d.headers(guard.Handler(outside))
	return d, nil
}

// newDashboard returns a dashboard without routes and pages.
func newDashboard(o Options) *Dashboard {
	d := &Dashboard{Options: o, csp: contentPolicy(origin(o.StreamURL)), patience: patience,
		searchTime: searchTime, looking: make(chan struct{}, 1), contents: contents{age: contentAge,
			list: map[string]*content{}}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	if o.Redact == nil {
		o.Redact = DefaultRedact
	}
	d.redact = newRedactor(o.Redact)
	return d
}

// addRoutes adds the routes, and with several shards those of each.
func (d *Dashboard) addRoutes() error {
	if !d.several() {
		return d.router.addAll(d.routes())
	}
	if err := d.openShards(); err != nil {
		return err
	}
	return d.router.addAll(d.fleetRoutes())
}

// ServeHTTP answers a request.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// Close interrupts the operations that run in the background, and returns when they have ended.
// Any process can go on with them. Requests that come later can begin none.
func (d *Dashboard) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.work.Wait()
	for _, below := range d.below {
		below.Close()
	}
}

var (
	baseForm   = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)
	streamForm = regexp.MustCompile(`^https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~-]+)*/?$`)
)

// check returns everything that is wrong with the options.
func (o *Options) check() error {
	var problems []error
	say := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("dashboard: "+format, args...))
	}
	if o.Fleet == nil && (o.Store == nil || o.Inspector == nil) {
		say("want a Store and its Inspector, or a Fleet")
	}
	if o.Access == nil {
		say("want an Access: without one, everybody could change everything")
	}
	for _, err := range []error{CheckBase(o.Base), CheckRedact(o.Redact)} {
		if err != nil {
			say("%w", err)
		}
	}
	if err := CheckStreamURL(o.StreamURL); err != nil {
		say("%w", err)
	}
	if o.StreamURL != "" && o.Tickets == nil {
		say("the stream URL wants Tickets: the stream does not see the cookies of the pages")
	}
	for _, origin := range o.Origins {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			say("%w", err)
		}
	}
	return errors.Join(problems...)
}

// guard refuses what pages of other sites make a browser send. check has tried the Origins.
func (o *Options) guard() *http.CrossOriginProtection {
	guard := http.NewCrossOriginProtection()
	for _, origin := range o.Origins {
		if err := guard.AddTrustedOrigin(origin); err != nil {
			panic(err)
		}
	}
	return guard
}

// CheckBase says what is wrong with an Options.Base.
func CheckBase(base string) error {
	if !baseForm.MatchString(base) || strings.Contains(base+"/", "/./") ||
		strings.Contains(base+"/", "/../") {
		return fmt.Errorf("base %q: want a path such as /kyu, without a slash at its end", base)
	}
	return nil
}

// CheckStreamURL says what is wrong with an Options.StreamURL. The empty one is right.
func CheckStreamURL(address string) error {
	if _, err := url.Parse(address); address != "" &&
		(err != nil || !streamForm.MatchString(address)) {
		return fmt.Errorf("stream URL %q: want a scheme, a host and perhaps a path, such as "+
			"https://stream.example.com", address)
	}
	return nil
}
