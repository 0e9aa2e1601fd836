package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/live"
)

// withStream are options of a dashboard with a stream, and with tickets for others.
func withStream(o *dashboard.Options) {
	o.Live = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("the stream"))
	})
	o.Tickets = tickets()
}

// elsewhere are options of a dashboard whose stream is elsewhere.
func elsewhere(o *dashboard.Options) {
	o.StreamURL, o.Tickets = "https://stream.example.com/kyu/", tickets()
}

func tickets() *live.Tickets {
	t, err := live.NewTickets([]byte(strings.Repeat("k", 32)))
	if err != nil {
		panic(err)
	}
	return t
}

func TestStream(t *testing.T) {
	f := newFixture(t, withStream)
	f.role = "viewer"
	t.Run("is served to viewers", func(t *testing.T) {
		same(t, "the answer", f.sub(t).get("/live", 200), "the stream")
		f := f.sub(t)
		f.role = "nobody"
		f.get("/live", http.StatusForbidden)
		f.get("/ticket", http.StatusForbidden)
	})
	t.Run("elsewhere is opened with a ticket of the person, which is not kept", func(t *testing.T) {
		answer := f.send("GET", "/ticket", nil)
		same(t, "Cache-Control", answer.Header.Get("Cache-Control"), "no-store")
		person, err := tickets().Check(body(answer))
		if person != "ada" || err != nil {
			t.Errorf("%q %v", person, err)
		}
	})
	t.Run("elsewhere may be read by the pages", func(t *testing.T) {
		f := f.sub(t)
		f.d = f.open(elsewhere)
		policy := f.send("GET", "/", nil).Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "connect-src 'self' https://stream.example.com;") {
			t.Error(policy)
		}
		f.get("/live", http.StatusNotFound)
	})
	t.Run("elsewhere is refused without tickets, or with a wrong address", func(t *testing.T) {
		_, err := dashboard.New(dashboard.Options{StreamURL: "https://s.example"})
		if err == nil || !strings.Contains(err.Error(), "wants Tickets") {
			t.Error(err)
		}
		for _, address := range []string{"s.example", "ftp://s.example", "https://s.example?x",
			"https://s.example; script-src *", "https://", "https://a b"} {
			if dashboard.CheckStreamURL(address) == nil {
				t.Errorf("%q: no error", address)
			}
		}
	})
	t.Run("is not there unless somebody serves it", func(t *testing.T) {
		f := f.sub(t)
		f.d = f.open()
		f.get("/live", http.StatusNotFound)
		f.get("/ticket", http.StatusNotFound)
	})
}

func TestState(t *testing.T) {
	f := newFixture(t)
	f.enqueue("a", 3)
	t.Run("is JSON of the fleet", func(t *testing.T) {
		b, err := dashboard.State(f.in)(t.Context())
		if err != nil || !strings.Contains(string(b), `"enqueued":3`) {
			t.Errorf("%s %v", b, err)
		}
	})
	t.Run("is an error if Redis is away", func(t *testing.T) {
		f.server.Kill()
		if _, err := dashboard.State(f.in)(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}
