package live

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard/live"
)

func TestCrowd(t *testing.T) {
	hub := live.New(live.Options{Every: 20 * time.Millisecond,
		Sample: func(context.Context) ([]byte, error) { return state(time.Now(), 3000), nil }})
	server := httptest.NewServer(hub)
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); hub.Run(ctx) }()
	c := &crowd{address: server.Listener.Addr().String()}
	defer c.close()
	if err := c.open(ctx, 20, 2); err != nil {
		t.Fatal(err)
	}
	peak, err := c.measure(ctx, 500*time.Millisecond, func() float64 { return 7 })
	if err != nil {
		t.Fatal(err)
	}
	stop()
	<-ended
	r := c.result()
	t.Run("all clients get the updates", func(t *testing.T) {
		if r.states < 2 || len(r.waits) < 20*2 || r.missing(20) > 50 {
			t.Errorf("%d states, %d updates", r.states, len(r.waits))
		}
		if r.quantile(0) < 0 || r.quantile(1) > 10_000 || peak != 7 {
			t.Errorf("updates took %v to %v ms, peak %v", r.quantile(0), r.quantile(1), peak)
		}
	})
	t.Run("all clients are told when to come back", func(t *testing.T) {
		if r.byes != 20 || r.back < time.Second || r.back > 3*time.Second {
			t.Errorf("%d clients, within %v", r.byes, r.back)
		}
	})
	t.Run("a client that is refused ends the experiment", func(t *testing.T) {
		full := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "full", http.StatusServiceUnavailable)
		}))
		defer full.Close()
		refused := &crowd{address: full.Listener.Addr().String()}
		defer refused.close()
		if err := refused.open(t.Context(), 1, 0); err == nil {
			t.Error("no error")
		}
	})
}

func TestState(t *testing.T) {
	t.Run("has its size and its time", func(t *testing.T) {
		at := time.Unix(12, 34)
		b := state(at, 500)
		made, ok := madeAt(append([]byte("data: "), b...))
		if len(b) != 500 || !ok || made != at.UnixNano() {
			t.Errorf("%d bytes, made at %d, %v", len(b), made, ok)
		}
	})
	t.Run("other lines have no time", func(t *testing.T) {
		for _, line := range []string{"", "id: 1", "data: 2000", `data: {"at":x,`} {
			if _, ok := madeAt([]byte(line)); ok {
				t.Errorf("%q has a time", line)
			}
		}
	})
}
