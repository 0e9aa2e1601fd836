package guard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/guard"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// private lists forbidden addresses, in all notations of an address.
var private = []string{
	"127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "127.0.1", "2130706433", "0x7f000001",
	"0x7f.1", "017700000001", "0177.0.0.1", "0", "0.0.0.0",
	"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254",
	"169.254.0.1", "100.64.0.1", "100.127.255.255",
	"192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
	"203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::127.0.0.1]",
	"[::7f00:1]", "[::10.0.0.1]", "[0:0:0:0:0:0:0:1]",
	"[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::10.0.0.1]",
	"[64:ff9b::169.254.169.254]", "[64:ff9b::]", "[64:ff9b::100.64.0.1]",
	"[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
	"[2002:a00:1::1]", "[2001::1]", "[2001:10::1]", "[2001:20::1]", "[2001:db8::1]",
	"[100::1]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25lo]", "[::1%25lo]",
	"[fec0::1]", "[ff02::1]", "[ff01::1]", "[3fff::1]", "[5f00::1]",
	"localhost", "localhost.", "LOCALHOST", "127.0.0.1.", "１２７.０.０.１",
	"①②⑦.⓪.⓪.①", "ip6-localhost",
}

// malformed lists URLs that are refused before their host is resolved. {port} stands for
// the port of the test's listener.
var malformed = []string{
	"file:///etc/passwd", "gopher://127.0.0.1:{port}/", "ftp://127.0.0.1:{port}/", "unix:///run/x",
	"javascript:alert(1)", "//127.0.0.1:{port}/", "127.0.0.1:{port}",
	"http://user@127.0.0.1:{port}/", "http://example.com@127.0.0.1:{port}/",
	"http://user:pw@example.com/", "http:///path", "http://:{port}/", "http:127.0.0.1",
	"http://example.com:22/", "http://example.com:25/", "http://example.com:6379/",
	"http://example.com:5432/", "http://example.com:0/", "http://example.com:99999/",
	"http://x.onion/", "http://x.i2p/", "http://x.onion./",
	"http://127.0.0.1:{port}\\@example.com/", "http://exa\nmple.com/", "",
}

// listen counts the connections that are accepted on every loopback address.
func listen(t *testing.T) (port string, accepted *atomic.Int64) {
	t.Helper()
	accepted = &atomic.Int64{}
	four, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(four.Addr().String())
	listeners := []net.Listener{four}
	if six, err := net.Listen("tcp6", "[::]:"+port); err == nil {
		listeners = append(listeners, six)
	}
	var all sync.WaitGroup
	for _, l := range listeners {
		all.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				accepted.Add(1)
				conn.Close()
			}
		})
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			l.Close()
		}
		all.Wait()
	})
	return port, accepted
}

// client makes a client that follows redirects as the jobs do.
func client(g *guard.Guard, resolver *net.Resolver) *http.Client {
	dial := g.DialContext
	if resolver != nil {
		dial = g.DialThrough(resolver)
	}
	return &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DialContext: dial,
		DisableKeepAlives: true},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			_, err := guard.ParseURL(r.URL.String())
			return err
		}}
}

// get requests a URL. The error is nil if there was an answer.
func get(c *http.Client, raw string) error {
	u, err := guard.ParseURL(raw)
	if err != nil {
		return err
	}
	r, err := c.Get(u.String())
	if err != nil {
		return err
	}
	io.Copy(io.Discard, r.Body)
	return r.Body.Close()
}

// vectors lists URLs by which a stranger may try to reach the listener.
func vectors(t *testing.T, port string) (urls []string) {
	t.Helper()
	if n := len(private) + len(malformed); n < 60 {
		t.Fatalf("%d URLs, want at least 60", n)
	}
	for _, host := range private {
		urls = append(urls, "http://"+host+":"+port+"/")
	}
	for _, raw := range malformed {
		urls = append(urls, strings.ReplaceAll(raw, "{port}", port))
	}
	return urls
}

// redirecting is a server on 127.77.0.1 that redirects to the URL in its query.
func redirecting(t *testing.T) *httptest.Server {
	t.Helper()
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		w.Header()["Location"] = []string{r.URL.Query().Get("to")}
		w.WriteHeader(http.StatusFound)
	}))
	l, err := net.Listen("tcp4", "127.77.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front.Listener.Close()
	front.Listener = l
	front.Start()
	t.Cleanup(front.Close)
	return front
}

func TestLoopback(t *testing.T) {
	port, accepted := listen(t)
	g := &guard.Guard{}
	urls := vectors(t, port)
	t.Run("is not reached by URLs", func(t *testing.T) {
		c := client(g, nil)
		for _, raw := range urls {
			if err := get(c, raw); err == nil {
				t.Errorf("%s was answered", raw)
			}
		}
	})
	t.Run("is not reached by redirects", func(t *testing.T) {
		front := redirecting(t)
		allowed, _ := guard.New("127.77.0.1")
		c := client(allowed, nil)
		for _, raw := range urls {
			if raw == "" || strings.HasPrefix(raw, "127.") || strings.HasPrefix(raw, "http:127") {
				continue // relative to the server itself
			}
			if err := get(c, front.URL+"/?to="+url.QueryEscape(raw)); err == nil {
				t.Errorf("the redirect to %s was answered", raw)
			}
		}
	})
	t.Run("is not reached by names", func(t *testing.T) {
		// The records of a name are a private address, alone or beside a public one.
		for _, host := range private {
			a, err := netip.ParseAddr(strings.Trim(host, "[]"))
			if err != nil {
				continue // only addresses can be records
			}
			for _, answers := range [][]netip.Addr{{a}, {a, netip.MustParseAddr("192.0.2.7")}} {
				c := client(g, resolver(t, answers))
				if err := get(c, "http://rebind.example:"+port+"/"); err == nil {
					t.Errorf("a name with the address %v was answered", answers)
				}
			}
		}
	})
	t.Run("accepted no connection", func(t *testing.T) {
		if n := accepted.Load(); n != 0 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("is reached if it is allowed, so the tests above can fail", func(t *testing.T) {
		open, _ := guard.New("127.0.0.1")
		get(client(open, nil), "http://127.0.0.1:"+port+"/")
		get(client(open, resolver(t, []netip.Addr{netip.MustParseAddr("127.0.0.1")})),
			"http://rebind.example:"+port+"/")
		if n := accepted.Load(); n < 2 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Run("forbids private addresses", func(t *testing.T) {
		g, checked := &guard.Guard{}, 0
		for _, host := range private {
			text, err := url.PathUnescape(strings.Trim(host, "[]"))
			if err != nil {
				t.Fatal(err)
			}
			a, err := netip.ParseAddr(text)
			if err != nil {
				continue // a name
			}
			checked++
			if err := g.Check(a); !errors.Is(err, guard.ErrForbidden) {
				t.Errorf("%v: %v", a, err)
			}
		}
		if checked < 40 {
			t.Errorf("%d addresses", checked)
		}
	})
	t.Run("allows public addresses", func(t *testing.T) {
		g := &guard.Guard{}
		for _, text := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1",
			"172.15.0.1", "172.32.0.1", "192.0.1.1", "::ffff:8.8.8.8", "2606:4700::1111", "2a00::1",
			"2001:4860:4860::8888", "2003::1", "64:ff9b::8.8.8.8"} {
			if err := g.Check(netip.MustParseAddr(text)); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
	t.Run("allows configured ranges", func(t *testing.T) {
		g, err := guard.New("10.1.0.0/16, ::1 192.168.1.5 64:ff9b::10.3.0.0/112")
		if err != nil {
			t.Fatal(err)
		}
		for text, ok := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true,
			"10.2.0.1": false, "::1": true, "192.168.1.5": true, "192.168.1.6": false,
			"127.0.0.1": false, "64:ff9b::10.1.2.3": true, "64:ff9b::10.2.0.1": false,
			"64:ff9b::10.3.0.1": true, "10.3.0.1": false} {
			err := g.Check(netip.MustParseAddr(text))
			if (err == nil) != ok || !ok && !errors.Is(err, guard.ErrForbidden) {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}

func TestNew(t *testing.T) {
	t.Run("names the part that cannot be read", func(t *testing.T) {
		if _, err := guard.New("10.0.0.0/8, here"); err == nil ||
			!strings.Contains(err.Error(), `"here"`) {
			t.Error(err)
		}
	})
}

// resolver makes a resolver that answers each question with answers.
func resolver(t *testing.T, answers []netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: false,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() { // ends when the resolver closes its side
				defer server.Close()
				if err := answer(server, answers); err != nil {
					t.Log(err)
				}
			}()
			return client, nil
		}}
}

// answer serves DNS over a stream: each message is a length, a header, the question and the
// records.
func answer(conn net.Conn, answers []netip.Addr) error {
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(conn, head); err != nil {
			return nil // closed
		}
		query := make([]byte, int(head[0])<<8|int(head[1]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return err
		}
		end := 12
		for query[end] != 0 {
			end += int(query[end]) + 1
		}
		end += 5 // the last length, type and class
		kind := query[end-3]
		reply := append([]byte{}, query[:end]...)
		reply[2], reply[3] = 0x81, 0x80 // an answer, no error
		count := byte(0)
		for _, a := range answers {
			if (kind == 1) != a.Is4() || (kind != 1 && kind != 28) {
				continue
			}
			raw := a.WithZone("").AsSlice()
			reply = append(reply, 0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, byte(len(raw)))
			reply = append(reply, raw...)
			count++
		}
		copy(reply[6:12], []byte{0, count, 0, 0, 0, 0})
		if _, err := conn.Write(append([]byte{byte(len(reply) >> 8), byte(len(reply))},
			reply...)); err != nil {
			return err
		}
	}
}
