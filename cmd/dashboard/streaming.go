package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/live"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
)

// streaming are the settings of the stream. The zero value is a stream at the listener of the
// pages.
type streaming struct {
	listen  string // its own listener
	url     string // where browsers find it, if that is not at the address of the pages
	only    bool   // the process has no pages
	ignored string // a URL of the environment that does not count
	tickets *live.Tickets
}

// variable is where Mastodon has the address of its streaming server.
const variable = "STREAMING_API_BASE_URL"

func (s *streaming) flags(f *pflag.FlagSet) {
	f.StringVar(&s.listen, "stream-listen", "", "an `ADDRESS` for the stream alone; default: it "+
		"is at the address of the pages")
	f.StringVar(&s.url, "stream-url", "", "the `URL` below which browsers find the stream, such "+
		"as https://stream.example.com")
	f.BoolVar(&s.only, "stream-only", false, "serve the stream and no pages; several such "+
		"processes may share --stream-url and --key-file")
}

// read completes the settings, and checks them. The key is nil without --key-file.
func (s *streaming) read(r *env.Reader, key []byte) error {
	var problems []error
	say := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	if s.listen != "" && checkAddress(s.listen) != nil {
		say("--stream-listen %q: want HOST:PORT, such as 127.0.0.1:9293", s.listen)
	}
	if s.only && s.listen == "" {
		say("--stream-only: want --stream-listen too")
	}
	if s.only && key == nil {
		say("--stream-only: want --key-file, with the key of the dashboard that issues tickets")
	}
	if !s.only {
		problems = append(problems, s.address(r, key))
	}
	if err := errors.Join(problems...); err != nil || s.listen == "" && s.url == "" {
		return err
	}
	if key == nil {
		key = make([]byte, sha256.Size)
		rand.Read(key) // never fails
	}
	var err error
	s.tickets, err = live.NewTickets(key)
	return err
}

// address finds the address of the stream for browsers. A process with pages has one if the stream
// is not at the listener of the pages.
func (s *streaming) address(r *env.Reader, key []byte) error {
	shared := s.listen != "" || key != nil // else no other process could know the tickets
	if found, _ := r.Get(variable); s.url == "" && found != "" {
		if !shared {
			s.ignored = found
			return nil
		}
		s.url = found
	}
	// Mastodon names WebSockets at the same address.
	s.url = strings.Replace(strings.Replace(s.url, "wss://", "https://", 1), "ws://", "http://", 1)
	switch {
	case s.url != "" && !shared:
		return errors.New("--stream-url: want --stream-listen too, or --key-file if another " +
			"process has the stream")
	case s.url == "" && s.listen != "":
		if !loopback(s.listen) {
			return fmt.Errorf("--stream-listen %s: want --stream-url too, for browsers", s.listen)
		}
		s.url = "http://" + s.listen
	}
	return dashboard.CheckStreamURL(s.url)
}

func checkAddress(address string) error {
	_, _, err := net.SplitHostPort(address)
	return err
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// hub returns the stream that this process serves, or nil if only others do.
func (s *server) hub(fleet *inspect.Fleet) *live.Hub {
	if s.stream.url != "" && s.stream.listen == "" {
		return nil
	}
	o := live.Options{Sample: dashboard.FleetState(fleet), Log: s.log}
	if s.stream.listen != "" {
		o.Origin = "*" // only tickets open it
	}
	return live.New(o)
}

// streamHandler serves the stream at its own listener, at every path that ends with /live, whatever
// a proxy makes of the path of --stream-url.
func (s *server) streamHandler(hub *live.Hub) http.Handler {
	guarded := s.stream.tickets.Wrap(hub)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/live") {
			http.NotFound(w, r)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}
