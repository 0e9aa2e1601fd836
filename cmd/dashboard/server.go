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
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/dashboard/live"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"golang.org/x/sync/errgroup"
)

// stopWithin is how long the answers under way may take after the program was told to stop.
const stopWithin = 5 * time.Second

// server serves the dashboard.
type server struct {
	*settings
	log *slog.Logger
}

func newServer(s *settings, errOut io.Writer) *server {
	return &server{s, slog.New(slog.NewTextHandler(errOut, nil))}
}

// Run serves until ctx ends. Bulk operations that run then are interrupted: any process can go on
// with them.
func (s *server) Run(ctx context.Context) error {
	config := s.redis
	// A job is deleted with its locks, and with what a schedule notes of it.
	config.Capabilities = []queue.Capability{unique.Capability(), cron.Capability()}
	store, err := queue.Open(ctx, config)
	if err != nil {
		return err
	}
	defer store.Close()
	if s.stream.ignored != "" {
		s.log.Info(variable+" does not count without --stream-listen or --key-file",
			"url", s.stream.ignored)
	}
	in := inspect.New(store)
	hub := s.hub(in)
	var sites []site
	if !s.stream.only {
		d, err := s.pages(store, in, hub)
		if err != nil {
			return err
		}
		defer d.Close()
		sites = append(sites, site{"dashboard", s.listen, s.base + "/", "--listen",
			s.webServer(d)})
	}
	if s.stream.listen != "" {
		stream := live.Server(s.streamHandler(hub))
		stream.ErrorLog = s.errorLog()
		sites = append(sites, site{"stream", s.stream.listen, "/live",
			"--stream-listen", stream})
	}
	return s.serve(ctx, hub, sites)
}

// pages makes the pages. The hub is nil if only other processes have the stream.
func (s *server) pages(store *queue.Store, in *inspect.Inspector,
	hub *live.Hub) (*dashboard.Dashboard, error) {
	options := s.access
	options.Revoked, options.Log = access.RevokedIn(store), s.log
	who, err := access.New(options)
	if err != nil {
		return nil, err
	}
	o := dashboard.Options{Store: store, Inspector: in, Base: s.base, Access: who,
		Origins: options.Origins, SignOut: options.Users != "", ReadOnly: s.readOnly,
		StreamURL: s.stream.url, Tickets: s.stream.tickets, Log: s.log}
	if s.stream.url == "" {
		o.Live = hub
	}
	return dashboard.New(o)
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
}

// serve answers requests until ctx ends, and then those that are under way.
func (s *server) serve(ctx context.Context, hub *live.Hub, sites []site) error {
	group, ctx := errgroup.WithContext(ctx)
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
	l, err := net.Listen("tcp", site.address)
	if err != nil {
		return fmt.Errorf("%w: does another program use it? Give another address by %s", err,
			site.flag)
	}
	s.log.Info("Serving the "+site.what, "url", "http://"+l.Addr().String()+site.path)
	ended := make(chan error, 1)
	go func() { ended <- site.server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	<-streams
	s.log.Info("Stopping the " + site.what)
	within, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err = site.server.Shutdown(within)
	if err != nil {
		err = errors.Join(err, site.server.Close())
	}
	<-ended
	return err
}
