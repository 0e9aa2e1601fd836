package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call runs the program until ctx ends.
func call(ctx context.Context, environment map[string]string, args ...string) (code int, out,
	errOut string) {
	var o, e strings.Builder
	code = run(ctx, args, &o, &e, func(key string) string { return environment[key] })
	return code, o.String(), e.String()
}

func TestRun(t *testing.T) {
	t.Run("names everything that is wrong with the settings", func(t *testing.T) {
		code, _, text := call(t.Context(), map[string]string{"REDIS_URL": "http://x"}, "--listen",
			"0.0.0.0:9292", "--base", "kyu", "word")
		if code != 2 {
			t.Errorf("exit code %d", code)
		}
		for _, want := range []string{"the Redis URL http://x", "0.0.0.0:9292", "ssh -L",
			`base "kyu"`, `"word"`, "--help"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
	})
	t.Run("prints help and version", func(t *testing.T) {
		for flag, want := range map[string]string{"--help": "--read-only",
			"--version": "dashboard 0."} {
			code, out, _ := call(t.Context(), nil, flag)
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%s: %d %s", flag, code, out)
			}
		}
	})
	t.Run("says that Redis is away", func(t *testing.T) {
		url := fmt.Sprintf("redis://127.0.0.1:%d", redistest.FreePort(t))
		code, _, text := call(t.Context(), map[string]string{"REDIS_URL": url})
		if code != 1 || !strings.Contains(text, "refused") {
			t.Errorf("%d %s", code, text)
		}
	})
}

func TestServe(t *testing.T) {
	t.Run("serves pages until it is told to stop", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		address := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
		ended := make(chan int, 1)
		redis := redistest.Start(t).URL
		go func() {
			code, _, _ := call(ctx, map[string]string{"REDIS_URL": redis}, "--listen", address,
				"--base", "/kyu")
			ended <- code
		}()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		var page string
		testwait.Until(t, 10*time.Second, "a page is served", func() bool {
			answer, err := client.Get("http://" + address + "/kyu/queues")
			if err != nil {
				return false
			}
			defer answer.Body.Close()
			b, _ := io.ReadAll(answer.Body)
			page = string(b)
			return answer.StatusCode == http.StatusOK
		})
		if !strings.Contains(page, "admin") || !strings.Contains(page, "/kyu/assets/") {
			t.Error(page)
		}
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestLoopback(t *testing.T) {
	handler := loopback{access.Person{Name: "ada", Role: access.Admin}}.Wrap(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, access.From(r.Context()).Name)
		}))
	for name, c := range map[string]struct {
		peer, host, header string
		allowed            bool
	}{
		"this machine is an admin":               {"127.0.0.1:1", "127.0.0.1:9292", "", true},
		"also by another name, or by IPv6":       {"[::1]:1", "localhost:9292", "", true},
		"another machine is refused":             {"10.0.0.1:1", "127.0.0.1:9292", "", false},
		"the name of a stranger is refused":      {"127.0.0.1:1", "evil.example", "", false},
		"a proxy is refused":                     {"127.0.0.1:1", "localhost", "X-Real-Ip", false},
		"a proxy by another header is refused":   {"127.0.0.1:1", "localhost", "Forwarded", false},
		"a proxy that gives its name is refused": {"127.0.0.1:1", "localhost", "Via", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Host = c.peer, c.host
			if c.header != "" {
				r.Header.Set(c.header, "1.2.3.4")
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if ok := w.Code == http.StatusOK && w.Body.String() == "ada"; ok != c.allowed {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
}
