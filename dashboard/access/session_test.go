package access

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newTestSealer(t testing.TB, key []byte) *sealer {
	t.Helper()
	s, err := newSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	s := newTestSealer(t, key)
	now := session{"alice", "mark", "revoked", time.Now().UnixMilli(), Nobody}
	t.Run("opens what it sealed", func(t *testing.T) {
		value := s.seal(plainCookie, now)
		for _, opener := range []*sealer{s, newTestSealer(t, bytes.Clone(key))} {
			if got, ok := opener.open(plainCookie, value); !ok || got != now {
				t.Errorf("it opens %v, %v", got, ok)
			}
		}
		if strings.Contains(value, "alice") || s.seal(plainCookie, now) == value {
			t.Error("the value shows the name, or is the same every time")
		}
	})
	t.Run("opens nothing of another key", func(t *testing.T) {
		other := bytes.Clone(key)
		other[31] ^= 1
		for _, sealer := range []*sealer{newTestSealer(t, other), newTestSealer(t, nil),
			newTestSealer(t, nil)} {
			if got, ok := sealer.open(plainCookie, s.seal(plainCookie, now)); ok {
				t.Errorf("it opens %v", got)
			}
		}
	})
	t.Run("opens nothing of a cookie with another name", func(t *testing.T) {
		if got, ok := s.open(secureCookie, s.seal(plainCookie, now)); ok {
			t.Errorf("it opens %v", got)
		}
	})
	t.Run("opens nothing that was changed in any bit", func(t *testing.T) {
		sealed, _ := base64.RawURLEncoding.DecodeString(s.seal(plainCookie, now))
		for bit := range len(sealed) * 8 {
			forged := bytes.Clone(sealed)
			forged[bit/8] ^= 1 << (bit % 8)
			value := base64.RawURLEncoding.EncodeToString(forged)
			if got, ok := s.open(plainCookie, value); ok {
				t.Errorf("with bit %d changed, it opens %v", bit, got)
			}
		}
	})
	t.Run("opens nothing that was cut or is none of its values", func(t *testing.T) {
		value := s.seal(plainCookie, now)
		for i := range len(value) {
			if got, ok := s.open(plainCookie, value[:i]); ok {
				t.Errorf("of %d characters it opens %v", i, got)
			}
		}
		for _, other := range []string{value + "A", value + "=", "{}", "",
			strings.Repeat("A", maxCookie+4)} {
			if got, ok := s.open(plainCookie, other); ok {
				t.Errorf("of %q it opens %v", other, got)
			}
		}
	})
	t.Run("opens a session for 12 hours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			value := s.seal(plainCookie, session{Name: "a", Began: time.Now().UnixMilli()})
			time.Sleep(12*time.Hour - time.Millisecond)
			if _, ok := s.open(plainCookie, value); !ok {
				t.Error("it has ended before")
			}
			time.Sleep(time.Millisecond)
			if _, ok := s.open(plainCookie, value); ok {
				t.Error("it has not ended")
			}
		})
	})
	t.Run("opens no session that begins much later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for ahead, want := range map[time.Duration]bool{time.Minute - 1e6: true,
				time.Minute: false, 10000 * time.Hour: false} {
				began := time.Now().Add(ahead).UnixMilli()
				value := s.seal(plainCookie, session{Name: "a", Began: began})
				if _, ok := s.open(plainCookie, value); ok != want {
					t.Errorf("%v ahead: %v", ahead, ok)
				}
			}
		})
	})
	t.Run("wants a key of 32 bytes", func(t *testing.T) {
		for n, fits := range map[int]bool{0: false, 31: false, 32: true, 100: true} {
			if _, err := New(Options{Key: make([]byte, n)}); (err == nil) != fits {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	})
}

func TestCookie(t *testing.T) {
	s := newTestSealer(t, nil)
	v := session{Name: "alice", Began: time.Now().UnixMilli()}
	overTLS := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	for _, c := range []struct {
		what    string
		changes []change
		secure  bool
	}{
		{"plain HTTP on loopback", nil, false},
		{"plain HTTP on IPv6 loopback", []change{host("[::1]:80"), remote("[::1]:1")}, false},
		{"TLS on loopback", []change{overTLS}, true},
		{"TLS", []change{overTLS, host("kyu.example"), remote("10.0.0.9:1")}, true},
		{"behind a proxy", []change{host("kyu.example")}, true},
		{"behind a proxy that changes Host", []change{header("X-Forwarded-Proto", "https")}, true},
		{"behind a proxy that says nothing", []change{header("Origin",
			"https://kyu.example")}, true},
		{"a loopback name from another machine", []change{remote("10.0.0.9:1")}, true},
		{"a Unix socket", []change{overUnix}, true},
	} {
		t.Run("over "+c.what, func(t *testing.T) {
			r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			r.Host, r.RemoteAddr = "localhost:9292", "127.0.0.1:1"
			for _, change := range c.changes {
				change(r)
			}
			s.give(w, r, v)
			got := w.Header().Get("Set-Cookie")
			name, attributes := "kyu=", "; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax"
			if c.secure {
				name, attributes = "__Host-kyu=", "; Path=/; Max-Age=43200; HttpOnly; Secure; "+
					"SameSite=Lax"
			}
			if !strings.HasPrefix(got, name) || !strings.HasSuffix(got, attributes) ||
				strings.Contains(got, "Domain") {
				t.Errorf("it is %s", got)
			}
			r.AddCookie(w.Result().Cookies()[0])
			r.Header.Del("Origin") // which browsers send with forms only
			if opened, ok := s.sessionOf(r); !ok || opened != v {
				t.Errorf("it is the session %v, %v", opened, ok)
			}
		})
	}
	t.Run("of plain HTTP counts only on loopback", func(t *testing.T) {
		r := httptest.NewRequest("GET", "/", nil) // of another machine
		r.AddCookie(&http.Cookie{Name: plainCookie, Value: s.seal(plainCookie, v)})
		if got, ok := s.sessionOf(r); ok {
			t.Errorf("it is the session %v", got)
		}
	})
}

func TestReadKey(t *testing.T) {
	t.Run("reads all but spaces at the ends", func(t *testing.T) {
		want := strings.Repeat("k", 16) + " " + strings.Repeat("y", 15)
		if key, err := ReadKey(write(t, "key", want+"\n")); err != nil || string(key) != want {
			t.Errorf("it is %q, %v", key, err)
		}
	})
	t.Run("refuses a short one, without showing it", func(t *testing.T) {
		_, err := ReadKey(write(t, "key", "SECRET\n"))
		if err == nil || strings.Contains(err.Error(), "SECRET") ||
			!strings.Contains(err.Error(), "openssl") {
			t.Errorf("the error is %v", err)
		}
	})
}

func FuzzSession(f *testing.F) {
	s := newTestSealer(f, bytes.Repeat([]byte("k"), 32))
	f.Add("alice", s.seal(plainCookie, session{Name: "alice"}))
	f.Add("", "AAAA")
	f.Fuzz(func(t *testing.T, name, value string) {
		if got, ok := s.open(plainCookie, value); ok {
			t.Errorf("%q is the session %v", value, got)
		}
		v := session{strings.ToValidUTF8(name, "?"), "m", "", time.Now().UnixMilli(), Nobody}
		sealed := s.seal(plainCookie, v)
		if got, ok := s.open(plainCookie, sealed); len(sealed) <= maxCookie && (!ok || got != v) {
			t.Errorf("%v opens as %v, %v", v, got, ok)
		}
	})
}
