package jobs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kyujobs/kyu/jobs"
)

// TestCanonicalURL sends requests to notations of a URL that may not be on the wire.
func TestCanonicalURL(t *testing.T) {
	all := newSite(t)
	in := all.alice()
	d := all.deliveries()
	d.HTTP = jobs.ConnectTo(in.Listener.Addr().String(), nil, "Kyu/test")
	t.Cleanup(d.HTTP.Close)
	const host = "xn--bcher-kva.test"
	for _, raw := range []string{"http://bücher.test/inbox", "http://BÜCHER.test/inbox",
		"http://b%C3%BCcher.test:80/inbox", " http://bücher.test./inbox "} {
		t.Run("is signed and sent for "+raw, func(t *testing.T) {
			a := in.to("")
			a.InboxURL = raw
			if err := d.Deliver(t.Context(), a); err != nil {
				t.Error(err)
			}
			if got := in.last.Load().Host; got != host {
				t.Errorf("the host is %q", got)
			}
		})
	}
	t.Run("names breaker and failures", func(t *testing.T) {
		s := all.With(t)
		in.status.Store(500)
		a := in.to("")
		a.InboxURL = "http://BÜCHER.test./inbox"
		for range 3 {
			if err := d.Deliver(t.Context(), a); outcome(err) != "retry" {
				t.Error(err)
			}
		}
		if n := s.redis.Exists(t.Context(), "kyu:breaker:"+host,
			"exhausted_deliveries:"+host).Val(); n != 2 {
			t.Errorf("%d of 2 keys: %v", n, s.redis.Keys(t.Context(), "*").Val())
		}
		in.status.Store(202)
	})
	t.Run("of an inbox has no space and no other script", func(t *testing.T) {
		if err := d.Deliver(t.Context(), jobs.Delivery{Body: `{}`, AccountID: 1,
			InboxURL: "http://a.test/in box?q=日 b"}); err != nil {
			t.Error(err)
		}
		if got := in.last.Load().RequestURI; got != "/in%20box?q=%E6%97%A5%20b" {
			t.Error(got)
		}
	})
}

func TestCanonicalPage(t *testing.T) {
	all := newSite(t)
	last := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			w.Header().Set("Location", "/é?q=a b")
			w.WriteHeader(http.StatusFound)
			return
		}
		last = r.RequestURI
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<title>x</title>")
	}))
	t.Cleanup(server.Close)
	for path, want := range map[string]string{"/?q=日本語": "/?q=%E6%97%A5%E6%9C%AC%E8%AA%9E",
		"/?q=a b": "/?q=a%20b", "/日": "/%E6%97%A5", "/moved": "/%C3%A9?q=a%20b"} {
		t.Run("is requested for "+path, func(t *testing.T) {
			err := all.previews(-1).Preview(t.Context(), jobs.LinkPreview{StatusID: 1,
				URL: server.URL + path})
			if err != nil || last != want {
				t.Errorf("the request is for %q, want %q (%v)", last, want, err)
			}
		})
	}
	t.Run("is stored once for two notations", func(t *testing.T) {
		if err := all.previews(-1).Preview(t.Context(), jobs.LinkPreview{StatusID: 2,
			URL: server.URL + "/%E6%97%A5"}); err != nil {
			t.Error(err)
		}
		if n := all.With(t).count("SELECT count(*) FROM preview_cards"); n != 4 {
			t.Errorf("%d cards of 4 pages", n)
		}
	})
}
