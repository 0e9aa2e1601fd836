package access

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// overUnix makes a request look as one over a Unix socket does.
func overUnix(r *http.Request) {
	r.RemoteAddr = "@"
	*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey,
		&net.UnixAddr{Name: "/run/kyu.sock", Net: "unix"}))
}

func TestSources(t *testing.T) {
	s, err := parseSources([]string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1", "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("have the addresses of their ranges", func(t *testing.T) {
		for addr, want := range map[string]bool{"10.1.2.3:80": true, "11.0.0.1:80": false,
			"192.0.2.7:1": true, "192.0.2.8:1": false, "[2001:db8:1::1]:1": true, "[::1]:1": true,
			"[::ffff:10.0.0.1]:1": true, "[2001:db9::1]:1": false, "@": false, "": false,
			"unix": false, "nonsense": false} {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = addr
			if got := s.sent(r); got != want {
				t.Errorf("%s: %v", addr, got)
			}
		}
	})
	t.Run("have Unix sockets only if they are named", func(t *testing.T) {
		r := httptest.NewRequest("GET", "/", nil)
		overUnix(r)
		if !s.sent(r) || (sources{prefixes: s.prefixes}).sent(r) {
			t.Error("a Unix socket is trusted or not, the wrong way round")
		}
	})
	t.Run("are refused if they are mistakes, all in one message", func(t *testing.T) {
		_, err := parseSources([]string{"0.0.0.0/0", "::/0", "10.0.0.1/8", "proxy.example",
			"unix:/x", "10.0.0.0/33", ""})
		if err == nil || strings.Count(err.Error(), "--proxy-from") != 7 ||
			!strings.Contains(err.Error(), `"10.0.0.1/8": want 10.0.0.0/8`) {
			t.Errorf("the error is %v", err)
		}
	})
	for _, c := range []struct{ what, remote, forwarded, want string }{
		{"an address", "203.0.113.5:1", "", "203.0.113.5"},
		{"a network of IPv6", "[2001:db9:1:2:3::4]:1", "", "2001:db9:1:2::/64"},
		{"a stranger's X-Forwarded-For does not count", "203.0.113.5:1", "198.51.100.1",
			"203.0.113.5"},
		{"a proxy's counts", "10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"the last is the client", "10.0.0.1:1", "1.1.1.1, 198.51.100.1", "198.51.100.1"},
		{"behind several proxies", "10.0.0.1:1", "1.1.1.1,198.51.100.1,10.0.0.3 , 192.0.2.7",
			"198.51.100.1"},
		{"with a port", "10.0.0.1:1", "198.51.100.1:4711", "198.51.100.1"},
		{"nonsense ends the chain", "10.0.0.1:1", "1.1.1.1, unknown, 10.0.0.9", "10.0.0.9"},
		{"a proxy that names nobody", "10.0.0.1:1", "", "10.0.0.1"},
		{"only proxies", "10.0.0.1:1", "10.0.0.2", "10.0.0.2"},
		{"no address", "nonsense", "", "unix"},
	} {
		t.Run("see the client: "+c.what, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.remote
			if c.forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.forwarded)
			}
			if got := s.client(r); got != c.want {
				t.Errorf("it is %q, want %q", got, c.want)
			}
		})
	}
	t.Run("see the client in the last of several headers", func(t *testing.T) {
		r := httptest.NewRequest("GET", "/", nil)
		overUnix(r)
		r.Header["X-Forwarded-For"] = []string{"1.1.1.1", "198.51.100.1"}
		if got := s.client(r); got != "198.51.100.1" {
			t.Errorf("it is %q", got)
		}
	})
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "LOCALHOST": true, "127.0.0.1": true,
		"127.9.9.9": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true, "0.0.0.0": false,
		"": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"kyu.example": false, "10.0.0.1": false, "localhost.": false, "2130706433": false} {
		t.Run(host, func(t *testing.T) {
			if got := isLoopback(host); got != want {
				t.Errorf("it is %v", got)
			}
		})
	}
}
