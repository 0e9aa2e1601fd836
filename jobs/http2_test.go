package jobs

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/internal/guard"
)

// pipes is a listener without a network, so that time can be simulated. Connections that
// are cut swallow what is written and bring nothing.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	close   sync.Once
	made    atomic.Int64
	cut     atomic.Bool
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.waiting:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.waiting <- there
	c := &cable{Conn: here, nth: p.made.Add(1), pipes: p}
	return c, nil
}

// cable is the client's end of a connection. The first one can be cut.
type cable struct {
	net.Conn
	nth   int64
	pipes *pipes
}

func (c *cable) Write(b []byte) (int, error) {
	if c.nth == 1 && c.pipes.cut.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// overPipes makes a client and a server that speaks a protocol of TLS: h2 or http/1.1.
func overPipes(t *testing.T, protocol string, handler http.HandlerFunc) (*HTTP, *pipes) {
	p := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = p
	server.EnableHTTP2 = protocol == "h2"
	server.StartTLS()
	h := NewHTTP(&guard.Guard{}, "test")
	h.transport.DialContext = p.dial
	h.transport.TLSClientConfig = &tls.Config{
		RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	t.Cleanup(func() {
		h.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return h, p
}

// strange are answers that never end, or that are huge.
var strange = map[string]http.HandlerFunc{
	"/silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"/drip": func(w http.ResponseWriter, r *http.Request) {
		for {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Second):
			}
		}
	},
	"/endless": func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	},
	"/headers": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X", strings.Repeat("x", 1<<20))
	},
	"/": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) },
}

func strangely(w http.ResponseWriter, r *http.Request) { strange[r.URL.Path](w, r) }

func page(path string) *url.URL {
	return &url.URL{Scheme: "https", Host: "127.0.0.1", Path: path}
}

func TestStrangeAnswer(t *testing.T) {
	for _, protocol := range []string{"h2", "http/1.1"} {
		for path, most := range map[string]time.Duration{"/silent": 10 * time.Second,
			"/drip": 30 * time.Second, "/headers": 0, "/endless": 0} {
			t.Run(fmt.Sprintf("%s over %s is bounded", path, protocol), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h, _ := overPipes(t, protocol, strangely)
					begin := time.Now()
					got, err := h.get(t.Context(), page(path), http.Header{}, nil)
					if took := time.Since(begin); took > most+time.Second {
						t.Errorf("it took %v", took)
					}
					if path == "/endless" && (err != nil || !got.cut || len(got.body) != maxBody) {
						t.Errorf("%d bytes: %v", len(got.body), err)
					}
					if path != "/endless" && err == nil {
						t.Errorf("there is no error after %v: %+v", time.Since(begin), got)
					}
					got, err = h.get(t.Context(), page("/"), http.Header{}, nil)
					if err != nil || got.status != 200 {
						t.Errorf("the next request: %v", err)
					}
				})
			})
		}
	}
}

func TestHTTP2(t *testing.T) {
	for protocol, want := range map[string]string{"h2": "HTTP/2.0", "http/1.1": "HTTP/1.1"} {
		t.Run("a server of "+protocol+" is asked over "+want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, p := overPipes(t, protocol, strangely)
				for range 3 {
					got, err := h.get(t.Context(), page("/"), http.Header{}, nil)
					if err != nil || string(got.body) != want {
						t.Errorf("%+v, %v", got, err)
					}
				}
				if n := p.made.Load(); n != 1 {
					t.Errorf("%d connections for 3 requests", n)
				}
			})
		})
	}
	t.Run("a dead connection costs one request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, p := overPipes(t, "h2", strangely)
			h.get(t.Context(), page("/"), http.Header{}, nil)
			p.cut.Store(true)
			if _, err := h.get(t.Context(), page("/"), http.Header{}, nil); err == nil {
				t.Error("the first request does not fail")
			}
			if _, err := h.get(t.Context(), page("/"), http.Header{}, nil); err != nil {
				t.Error(err)
			}
		})
	})
}
