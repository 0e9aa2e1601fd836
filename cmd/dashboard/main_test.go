package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/env"
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
		for _, want := range []string{"the Redis URL http://x", "0.0.0.0:9292", "--users",
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

func TestPostgres(t *testing.T) {
	read := func(args ...string) string {
		variables := map[string]string{"DATABASE_URL": "postgres://u@a/x", "WEB_CONCURRENCY": "3",
			"REPLICA_DATABASE_URL": "postgres://u@r/x"}
		s, err := readSettings(args, &env.Reader{Lookup: func(key string) (string, bool) {
			return variables[key], variables[key] != ""
		}})
		if err != nil {
			t.Fatal(err)
		}
		p := newServer(s, io.Discard, os.Getenv).postgres()
		return strings.Join([]string{p.URL, p.Replicas[0], p.Web}, " ")
	}
	t.Run("is that of the variables", func(t *testing.T) {
		if got := read(); got != "postgres://u@a/x postgres://u@r/x 3x5" {
			t.Error(got)
		}
	})
	t.Run("is that of the flag", func(t *testing.T) {
		got := read("--database-url", "postgres://u@b/x")
		if got != "postgres://u@b/x postgres://u@r/x 3x5" {
			t.Error(got)
		}
	})
}

func TestShownSettings(t *testing.T) {
	variables := map[string]string{"DATABASE_URL": "postgres://u:secret@a/x",
		"REPLICA_DATABASE_URL": "postgres://u:secret@r/x", "REDIS_URL": "redis://:secret@h/3",
		"CACHE_REDIS_URL": "redis://:secret@c/1", "SIDEKIQ_REDIS_PASSWORD": "secret",
		"DIRECT_DATABASE_URL": "postgres://u:secret@d/x"}
	s, err := readSettings(nil, &env.Reader{Lookup: func(key string) (string, bool) {
		return variables[key], variables[key] != ""
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("have no secrets", func(t *testing.T) {
		text := fmt.Sprint(s.shown)
		if strings.Contains(text, "secret") || !strings.Contains(text, "REDIS_URL") ||
			!strings.Contains(text, "REPLICA_DATABASE_URL") {
			t.Error(text)
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

// signIn posts a name and a password, and returns the answer and its page.
func signIn(t *testing.T, client *http.Client, base, password string) (status int, page string) {
	t.Helper()
	answer, err := client.PostForm(base+"/login", url.Values{"name": {"ada"},
		"password": {password}, "next": {"/kyu/queues"}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestUsers(t *testing.T) {
	line, err := access.HashLine("ada", access.Viewer, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	address := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
	base, ended := "http://"+address+"/kyu", make(chan int, 1)
	redis := redistest.Start(t).URL
	go func() {
		code, _, text := call(ctx, map[string]string{"REDIS_URL": redis}, "--listen", address,
			"--base", "/kyu", "--users", users)
		if code != 0 {
			t.Error(text)
		}
		ended <- code
	}()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	testwait.Until(t, 10*time.Second, "the sign-in is served", func() bool {
		answer, err := client.Get(base + "/queues")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusUnauthorized
	})
	if status, _ := signIn(t, client, base, "wrong"); status == http.StatusOK {
		t.Error("a wrong password is accepted")
	}
	status, page := signIn(t, client, base, "correct horse")
	if status != http.StatusOK || !strings.Contains(page, "ada") ||
		!strings.Contains(page, `action="/kyu/logout"`) ||
		strings.Contains(page, `<form method="post" action="/kyu/queues`) {
		t.Errorf("%d %s", status, page)
	}
	stop()
	<-ended
}
