package live

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
)

func waitForEnd(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func pathAsAddress(r *http.Request) string { return r.URL.Path }

func TestStream(t *testing.T) {
	t.Parallel()
	inSite(t, "sends a state only if it has changed, and else a comment each 15 s", nil,
		func(s *site) {
			r := s.listen("/")
			r.expect(shown(`{"n":1}`))
			began := time.Now()
			r.expect(":\n\n")
			r.expect(":\n\n")
			if took := time.Since(began); took != 30*time.Second {
				s.Errorf("two comments took %v", took)
			}
			s.set(`{"n":2}`, nil)
			r.expect(shown(`{"n":2}`))
			if took := time.Since(began); took > 31*time.Second {
				s.Errorf("the change came after %v", took-30*time.Second)
			}
		})
	inSite(t, "a client that has the newest state is not sent it again", nil, func(s *site) {
		s.listen("/").expect(shown(`{"n":1}`))
		id := stateFrame([]byte(`{"n":1}`)).id
		header := s.listen("/", "Last-Event-ID: "+id)
		parameter := s.listen("/?last-event-id=" + id)
		s.set(`{"n":2}`, nil)
		header.expect(shown(`{"n":2}`))
		parameter.expect(shown(`{"n":2}`))
	})
	inSite(t, "also if it is the first to come to a process", nil, func(s *site) {
		r := s.listen("/", "Last-Event-ID: "+stateFrame([]byte(`{"n":1}`)).id)
		<-time.After(3 * time.Second)
		s.set(`{"n":2}`, nil)
		r.expect(shown(`{"n":2}`))
	})
	inSite(t, "an id that nobody knows gets the newest state at once", nil, func(s *site) {
		s.listen("/").expect(shown(`{"n":1}`))
		began := time.Now()
		s.listen("/", "Last-Event-ID: 41").expect(shown(`{"n":1}`))
		if took := time.Since(began); took != 0 {
			s.Errorf("after %v", took)
		}
	})
	inSite(t, "ends after its age, and says when to come back", func(o *Options) {
		o.Age = time.Hour
	}, func(s *site) {
		began := time.Now()
		r := s.listen("/")
		r.expect(shown(`{"n":1}`))
		block := r.event()
		if !strings.HasPrefix(block, "event: bye\nretry: ") {
			s.Errorf("%q", block)
		}
		if took := time.Since(began); took < 30*time.Minute || took > time.Hour+silence {
			s.Errorf("after %v", took)
		}
		r.end()
	})
}

func TestSlowClient(t *testing.T) {
	t.Parallel()
	inSite(t, "is sent the newest state when it can take it, and delays nobody", nil,
		func(s *site) {
			slow, fast := s.listen("/"), s.listen("/")
			fast.expect(shown(`{"n":1}`))
			for _, state := range []string{`{"n":2}`, `{"n":3}`, `{"n":4}`} {
				s.set(state, nil)
				began := time.Now()
				fast.expect(shown(state))
				if took := time.Since(began); took > time.Second {
					s.Errorf("the fast client waited %v", took)
				}
			}
			slow.expect(shown(`{"n":1}`)) // was on its way
			slow.expect(shown(`{"n":4}`))
		})
	inSite(t, "is dropped after 30 s", nil, func(s *site) {
		r := s.listen("/")
		<-time.After(29 * time.Second)
		synctest.Wait()
		if n := s.hub.Clients(); n != 1 {
			s.Fatalf("%d clients after 29 s", n)
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if n := s.hub.Clients(); n != 0 {
			s.Errorf("%d clients after 31 s", n)
		}
		r.end()
	})
	t.Run("is dropped also by a real kernel, whose buffers are bounded", dropsOverTCP)
}

// dropsOverTCP lets a client take nothing of states of 16 KiB, beside one that takes all.
func dropsOverTCP(t *testing.T) {
	n := 0
	hub := New(Options{Every: time.Millisecond, Sample: func(context.Context) ([]byte, error) {
		n++
		return []byte(`"` + strconv.Itoa(n) + strings.Repeat("x", 16<<10) + `"`), nil
	}})
	hub.patience = time.Second
	server := httptest.NewUnstartedServer(hub)
	server.Config = Server(hub)
	server.Start()
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); hub.Run(ctx) }()
	defer func() { stop(); <-ended }()

	slow, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	slow.(*net.TCPConn).SetReadBuffer(4 << 10)
	slow.Write([]byte("GET / HTTP/1.1\r\nHost: kyu\r\n\r\n"))
	testwait.Until(t, 10*time.Second, "the slow client is there", func() bool {
		return hub.Clients() == 1
	})
	fast, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer fast.Body.Close()
	buffer := make([]byte, 64<<10)
	for hub.Clients() == 2 {
		if _, err := fast.Body.Read(buffer); err != nil {
			t.Fatalf("the fast client: %v", err)
		}
	}
	if _, err := fast.Body.Read(buffer); err != nil {
		t.Errorf("the fast client was dropped too: %v", err)
	}
	slow.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, slow); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection of the slow client is still open")
	}
}

func TestBye(t *testing.T) {
	t.Parallel()
	inSite(t, "spreads the clients over a time that grows with their number", nil,
		func(s *site) {
			const n = 200
			var all []*reader
			for range n {
				r := s.listen("/")
				r.expect(shown(`{"n":1}`))
				all = append(all, r)
			}
			s.stop()
			times := map[string]bool{}
			for _, r := range all {
				block := r.block()
				fields := strings.Fields(block)
				if len(fields) != 6 || fields[1] != "bye" || fields[3] != fields[5] {
					s.Fatalf("%q", block)
				}
				ms, err := strconv.Atoi(fields[5])
				if err != nil || ms < 1000 || ms > 2000+n {
					s.Errorf("come back after %q ms", fields[5])
				}
				times[fields[5]] = true
				r.end()
			}
			if len(times) < n/2 {
				s.Errorf("only %d times for %d clients", len(times), n)
			}
		})
	inSite(t, "lets the server shut down without waiting for clients", nil, func(s *site) {
		r := s.listen("/")
		r.expect(shown(`{"n":1}`))
		s.stop()
		r.event()
		r.end()
		began := time.Now()
		if err := s.server.Shutdown(s.Context()); err != nil || time.Since(began) > time.Second {
			s.Errorf("%v, after %v", err, time.Since(began))
		}
	})
	t.Run("ten thousand clients come back over eleven seconds", func(t *testing.T) {
		h := New(Options{})
		for range 10_000 {
			h.join(&client{mail: make(chan *frame, 1)})
		}
		h.stop()
		clear(h.clients) // all but one have left
		late := 0
		for range 1000 {
			if h.retry() > 6*time.Second {
				late++
			}
		}
		if late < 450 || late > 640 {
			t.Errorf("%d of 1,000 come back after 6 s, want about 545", late)
		}
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	inSite(t, "let proxies and caches keep nothing", nil, func(s *site) {
		h := s.listen("/").answer.Header
		for name, want := range map[string]string{"Content-Type": "text/event-stream",
			"Cache-Control": "no-store", "X-Accel-Buffering": "no",
			"Access-Control-Allow-Origin": ""} {
			if got := h.Get(name); got != want {
				s.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	})
	inSite(t, "let the configured origin read", func(o *Options) { o.Origin = "https://kyu" },
		func(s *site) {
			for origin, want := range map[string]string{"https://kyu": "https://kyu",
				"https://kyu.example": "", "http://kyu": "", "null": ""} {
				h := s.listen("/", "Origin: "+origin).answer.Header
				if got := h.Get("Access-Control-Allow-Origin"); got != want {
					s.Errorf("from %s: %q, want %q", origin, got, want)
				}
				if h.Get("Vary") != "Origin" {
					s.Errorf("from %s: no Vary", origin)
				}
			}
		})
	inSite(t, "let all origins read what only tickets open", func(o *Options) { o.Origin = "*" },
		func(s *site) {
			h := s.listen("/", "Origin: https://kyu").answer.Header
			if got := h.Get("Access-Control-Allow-Origin"); got != "*" {
				s.Errorf("%q", got)
			}
		})
	inSite(t, "of HTTP/2, and a stream that outlives the server's time-outs", nil, overHTTP2)
	t.Run("a post is refused", func(t *testing.T) {
		w := httptest.NewRecorder()
		New(Options{}).ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
		if w.Code != 405 || w.Header().Get("Allow") != "GET" {
			t.Errorf("%d, %v", w.Code, w.Header())
		}
	})
	t.Run("a handler that hides the connection gets an error", func(t *testing.T) {
		w := httptest.NewRecorder()
		New(Options{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 500 || !strings.Contains(w.Body.String(), "hides the connection") {
			t.Errorf("%d, %s", w.Code, w.Body)
		}
	})
}

// overHTTP2 reads a stream for longer than the server's time-outs of a second or two.
func overHTTP2(s *site) {
	transport := &http.Transport{Protocols: &http.Protocols{},
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			s.conns <- far
			return near, nil
		}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	s.hub.patience = 5 * time.Second // less than there is between two comments
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	answer, err := client.Get("http://kyu/")
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.ProtoMajor != 2 || answer.Header.Get("Content-Type") != "text/event-stream" ||
		answer.Header.Get("Connection") != "" {
		s.Errorf("%s, %v", answer.Proto, answer.Header)
	}
	r := &reader{T: s.T, lines: bufio.NewReader(answer.Body)}
	r.block()
	r.expect(shown(`{"n":1}`))
	r.expect(":\n\n")
	r.expect(":\n\n")
	s.set(`{"n":2}`, nil)
	r.expect(shown(`{"n":2}`))
	s.stop()
	if block := r.block(); !strings.HasPrefix(block, "event: bye\n") {
		s.Errorf("%q", block)
	}
	r.end()
}
