package jobs_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kyujobs/kyu/jobs"
)

// hooked is a webhook's receiver, and the last request to it.
type hooked struct {
	*httptest.Server
	status atomic.Int64
	got    atomic.Pointer[http.Request]
	body   atomic.Pointer[[]byte]
}

func newHooked(t *testing.T) *hooked {
	h := &hooked{}
	h.status.Store(200)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.got.Store(r)
		h.body.Store(&body)
		w.WriteHeader(int(h.status.Load()))
	}))
	t.Cleanup(h.Close)
	return h
}

func TestWebhook(t *testing.T) {
	s := newSite(t)
	hook := newHooked(t)
	s.exec("INSERT INTO webhooks (id, url, secret, enabled) VALUES (1, $1, 'It''s a Secret to "+
		"Everybody', true), (2, $2, 'x', false), (4, 'http://127.0.0.1:1/hush', 'x', true)",
		hook.URL, hook.URL+"/2")
	w := &jobs.Webhooks{DB: s.db, HTTP: s.http, Hosts: jobs.NewHosts(s.redis, 25, s.slog),
		Log: s.slog}
	deliver := func(t *testing.T, id int64, body string) error {
		ctx := run(t, `{"class":"Webhooks::DeliveryWorker","jid":"abc","args":[]}`)
		return w.Deliver(ctx, jobs.Webhook{WebhookID: id, Body: body})
	}
	t.Run("is signed with its secret", func(t *testing.T) {
		if err := deliver(t, 1, "Hello, World!"); err != nil {
			t.Fatal(err)
		}
		// The example in GitHub's documentation of webhooks.
		const want = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
		header := hook.got.Load().Header
		if header.Get("X-Hub-Signature") != want || header.Get("X-Kyu-Job") != "abc" {
			t.Errorf("%v", header)
		}
		if body := string(*hook.body.Load()); body != "Hello, World!" {
			t.Error(body)
		}
	})
	for code, want := range map[int64]string{404: "done", 500: "retry", 429: "retry"} {
		t.Run(fmt.Sprintf("%d: %s", code, want), func(t *testing.T) {
			hook.status.Store(code)
			if err := deliver(t, 1, "{}"); outcome(err) != want {
				t.Error(err)
			}
		})
	}
	for name, id := range map[string]int64{"that is disabled": 2, "that does not exist": 3} {
		t.Run(name+" is not sent", func(t *testing.T) {
			hook.got.Store(nil)
			if err := deliver(t, id, "{}"); err != nil || hook.got.Load() != nil {
				t.Error(err)
			}
		})
	}
	t.Run("to a forbidden port ends the job, and the log does not show the URL",
		func(t *testing.T) {
			if err := deliver(t, 4, "{}"); err != nil {
				t.Error(err)
			}
			log := s.log.String()
			if !strings.Contains(log, "webhook/4") || strings.Contains(log, "hush") {
				t.Error(log)
			}
		})
}
