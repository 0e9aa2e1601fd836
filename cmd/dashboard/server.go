package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/sdnotify"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// stopWithin is how long the answers under way may take after the program was told to stop.
const stopWithin = 5 * time.Second

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
	config := s.redis
	// A job is deleted with its locks, and with what a schedule notes of it.
	config.Capabilities = []queue.Capability{unique.Capability(), cron.Capability()}
	store, err := queue.Open(ctx, config)
	if err != nil {
		return err
	}
	defer store.Close()
	options := s.access
	options.Revoked, options.Log = access.RevokedIn(store), s.log
	who, err := access.New(options)
	if err != nil {
		return err
	}
	if err := who.Connect(ctx); err != nil {
		return err
	}
	d, err := dashboard.New(dashboard.Options{Store: store, Inspector: inspect.New(store),
		Base: s.base, Access: who, Origins: options.Origins,
		SignOut: options.Users != "" || options.OIDC != nil, ReadOnly: s.readOnly, Log: s.log})
	if err != nil {
		return err
	}
	defer d.Close()
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fmt.Errorf("%w: does another program use it? Give another address by --listen", err)
	}
	s.log.Info("Serving the dashboard", "url", "http://"+l.Addr().String()+s.base+"/")
	return s.serve(ctx, l, d)
}

// serve answers requests until ctx ends, and then those that are under way.
func (s *server) serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(l) }()
	s.tell("READY=1")
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.log.Info("Stopping")
	s.tell("STOPPING=1")
	within, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err := web.Shutdown(within)
	if err != nil {
		err = errors.Join(err, web.Close())
	}
	<-ended
	return err
}
