package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/dashboard/live"
	"github.com/kyujobs/kyu/internal/sdnotify"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// stopWithin is how long the answers under way may take after the program was told to stop.
const stopWithin = 5 * time.Second

// jobsConnections is how many connections the page of hosts has to the Redis of package jobs.
const jobsConnections = 2

// server serves the dashboard.
type server struct {
	*settings
	log    *slog.Logger
	notify *sdnotify.Notifier
}

func newServer(s *settings, errOut io.Writer, getenv func(string) string) *server {
	return &server{s, slog.New(slog.NewTextHandler(errOut, nil)), sdnotify.New(getenv)}
}

// tell tells systemd a state of the service.
func (s *server) tell(state string) {
	if err := s.notify.Send(state); err != nil {
		s.log.Warn("Systemd does not hear this process", "state", state, "error", err)
	}
}

// Run serves until ctx ends. Bulk operations that run then are interrupted: any process can go on
// with them.
func (s *server) Run(ctx context.Context) error {
	for i := range s.shards {
		// A job is deleted with its locks, and with what a schedule notes of it.
		s.shards[i].Config.Capabilities = []queue.Capability{unique.Capability(), cron.Capability(),
			lanes.Capability()}
	}
	shards, err := queue.NewShards(s.shards)
	if err != nil {
		return err
	}
	defer shards.Close()
	fleet := inspect.NewFleet(shards)
	if err := fleet.Connect(ctx); err != nil {
		return err
	}
	if s.stream.ignored != "" {
		s.log.Info(variable+" does not count without --stream-listen or --key-file",
			"url", s.stream.ignored)
	}
	hub := s.hub(fleet)
	var sites []site
	if !s.stream.only {
		jobs, err := s.jobsRedis()
		if err != nil {
			return err
		}
		if jobs != nil {
			defer jobs.Close()
		}
		d, err := s.pages(ctx, fleet, hub, jobs)
		if err != nil {
			return err
		}
		defer d.Close()
		sites = append(sites, site{what: "dashboard", address: s.listen, path: s.base + "/",
			flag: "--listen", server: s.webServer(d)})
	}
	if s.stream.listen != "" {
		stream := live.Server(s.streamHandler(hub))
		stream.ErrorLog = s.errorLog()
		sites = append(sites, site{what: "stream", address: s.stream.listen, path: "/live",
			flag: "--stream-listen", server: stream})
	}
	return s.serve(ctx, hub, sites)
}

// jobsRedis returns a client of the Redis of package jobs, or nil if there is none.
func (s *server) jobsRedis() (*redis.Client, error) {
	if s.jobs == nil {
		return nil, nil
	}
	return s.jobs.Redis(jobsConnections)
}

// pages makes the pages. The hub is nil if only other processes have the stream. jobs is the Redis
// of package jobs.
func (s *server) pages(ctx context.Context, fleet *inspect.Fleet, hub *live.Hub,
	jobs *redis.Client) (*dashboard.Dashboard, error) {
	options := s.access
	options.Revoked, options.Log = access.RevokedIn(firstHere(fleet)), s.log
	who, err := access.New(options)
	if err != nil {
		return nil, err
	}
	if err := who.Connect(ctx); err != nil {
		return nil, err
	}
	o := dashboard.Options{Fleet: fleet, Base: s.base, Access: who,
		Origins: options.Origins,
		SignOut: options.Users != "" || options.OIDC != nil, ReadOnly: s.readOnly,
		StreamURL: s.stream.url, Tickets: s.stream.tickets, Log: s.log,
		Cache: s.servers.Cache, Postgres: s.postgres(), Jobs: jobs,
		Redact: append([]string{}, s.redact...), Settings: s.shown}
	if s.stream.url == "" {
		o.Live = hub
	}
	return dashboard.New(o)
}

// firstHere is the first shard that is connected. The sign-outs of this process are there.
func firstHere(fleet *inspect.Fleet) *queue.Store {
	for _, m := range fleet.Members() {
		if m.Store.Connected() {
			return m.Store
		}
	}
	return fleet.Members()[0].Store
}

func (s *server) webServer(handler http.Handler) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: s.errorLog()}
}

func (s *server) errorLog() *log.Logger {
	return slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)
}

// site is a listener and its server.
type site struct {
	what    string // "dashboard" or "stream"
	address string
	path    string // of its first page
	flag    string // that names the address
	server  *http.Server

	listener net.Listener // opened by serve
}

// postgres are the servers of the page of Postgres.
func (s *server) postgres() dashboard.Postgres {
	x := &s.servers
	return dashboard.Postgres{Config: x.Database, Direct: x.Direct, PgBouncer: x.PgBouncer,
		RubyPool: x.RubyPool, Web: x.Others.Web, Streaming: x.Others.Streaming}
}

// serve answers requests until ctx ends, and then those that are under way.
func (s *server) serve(ctx context.Context, hub *live.Hub, sites []site) error {
	for i, site := range sites {
		l, err := net.Listen("tcp", site.address)
		if err != nil {
			for _, open := range sites[:i] {
				open.listener.Close()
			}
			return fmt.Errorf("%w: does another program use it? Give another address by %s", err,
				site.flag)
		}
		sites[i].listener = l
	}
	s.tell("READY=1")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		<-ctx.Done()
		s.tell("STOPPING=1")
		return nil
	})
	streams := make(chan struct{}) // closed when the streams are told to end
	group.Go(func() error {
		defer close(streams)
		if hub == nil {
			return nil
		}
		return hub.Run(ctx)
	})
	for _, site := range sites {
		group.Go(func() error { return s.answer(ctx, site, streams) })
	}
	return group.Wait()
}

// answer answers the requests of a listener. At the end it waits for the streams, because Shutdown
// waits for their requests.
func (s *server) answer(ctx context.Context, site site, streams <-chan struct{}) error {
	s.log.Info("Serving the "+site.what, "url",
		"http://"+site.listener.Addr().String()+site.path)
	ended := make(chan error, 1)
	go func() { ended <- site.server.Serve(site.listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	<-streams
	s.log.Info("Stopping the " + site.what)
	within, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err := site.server.Shutdown(within)
	if err != nil {
		err = errors.Join(err, site.server.Close())
	}
	<-ended
	return err
}
