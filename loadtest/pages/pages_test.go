package pages

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestFill(t *testing.T) {
	raw := redistest.Start(t).Client()
	if err := fill(t.Context(), raw, 2500, 1001); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if r, q := raw.ZCard(ctx, "retry").Val(), raw.LLen(ctx, "queue:pull").Val(); r != 2500 ||
		q != 1001 {
		t.Errorf("%d retries, %d queued", r, q)
	}
	for _, text := range []string{failed(7, 1), waiting(7, 1)} {
		if j, err := envelope.ParseJob(text); err != nil || j.JID == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestClient(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/bad" {
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	c := newClient(server.URL)
	defer c.close()
	c.steadily(t.Context(), 200, 100*time.Millisecond, []string{"/a", "/b"})
	t.Run("asks at the rate, for each page in turn", func(t *testing.T) {
		if asked.Load() != 20 || len(c.took["/a"]) != 10 || len(c.took["/b"]) != 10 {
			t.Errorf("%d requests: %v", asked.Load(), c.took)
		}
		if err := c.err(); err != nil {
			t.Error(err)
		}
	})
	t.Run("names a page that fails", func(t *testing.T) {
		c.inTurn(t.Context(), 2, []string{"/bad"})
		if err := c.err(); err == nil || !strings.Contains(err.Error(), "/bad: status 404") {
			t.Error(err)
		}
	})
}
