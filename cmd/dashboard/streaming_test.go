package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// keyFile makes a key for several processes.
func keyFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(strings.Repeat("k", 44)), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestStreamSettings(t *testing.T) {
	key := keyFile(t)
	for _, c := range []struct{ name, args, variable, url, wrong string }{
		{name: "the stream is at the pages"},
		{name: "a loopback listener is its own URL", args: "--stream-listen 127.0.0.1:9293",
			url: "http://127.0.0.1:9293"},
		{name: "another listener wants a URL", args: "--stream-listen 10.0.0.1:9293",
			wrong: "--stream-url"},
		{name: "a listener with a URL", args: "--stream-listen 10.0.0.1:9293 " +
			"--stream-url https://s.example/kyu", url: "https://s.example/kyu"},
		{name: "a URL without a listener wants a key", args: "--stream-url https://s.example",
			wrong: "--key-file"},
		{name: "a URL of other processes", args: "--stream-url https://s.example --key-file " + key,
			url: "https://s.example"},
		{name: "a URL is no URL", args: "--key-file " + key + " --stream-url s.example",
			wrong: "https://stream.example.com"},
		{name: "the variable, with the scheme of WebSockets", args: "--key-file " + key,
			variable: "wss://s.example", url: "https://s.example"},
		{name: "the flag wins over the variable", args: "--stream-url https://a.example " +
			"--key-file " + key, variable: "https://b.example", url: "https://a.example"},
		{name: "the variable is Mastodon's if nothing is said of a stream",
			variable: "wss://mastodon.example"},
		{name: "a listener is no address", args: "--stream-listen 9293", wrong: "127.0.0.1:9293"},
		{name: "a stream alone", args: "--stream-only --stream-listen 0.0.0.0:9293 " +
			"--listen 0.0.0.0:1 --key-file " + key},
		{name: "a stream alone wants a listener", args: "--stream-only --key-file " + key,
			wrong: "want --stream-listen"},
		{name: "a stream alone wants a key", args: "--stream-only --stream-listen 127.0.0.1:1",
			wrong: "want --key-file"},
		{name: "a stream alone that lacks both hears both", args: "--stream-only",
			wrong: "want --stream-listen too\n--stream-only: want --key-file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &env.Reader{Lookup: func(name string) (string, bool) {
				if name != variable {
					return "", false
				}
				return c.variable, c.variable != ""
			}}
			s, err := readSettings(strings.Fields(c.args), r)
			switch {
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("the error is %v, want one with %s", err, c.wrong)
			case c.wrong == "" && err != nil:
				t.Error(err)
			case c.wrong == "" && s.stream.url != c.url:
				t.Errorf("the URL is %q, want %q", s.stream.url, c.url)
			}
		})
	}
}

// program is a running dashboard.
type program struct {
	stop  context.CancelFunc
	ended chan int
}

// start runs the program until the test ends, or stop.
func start(t *testing.T, redis string, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	p := &program{stop, make(chan int, 1)}
	go func() {
		code, _, text := call(ctx, map[string]string{"REDIS_URL": redis}, args...)
		if code != 0 {
			t.Error(text)
		}
		p.ended <- code
		close(p.ended)
	}()
	t.Cleanup(func() {
		stop()
		<-p.ended
	})
	return p
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// get waits until an address answers with a status, and returns the answer.
func get(t *testing.T, address string, status int) (answer *http.Response) {
	t.Helper()
	testwait.Until(t, 10*time.Second, address+" answers", func() bool {
		a, err := client.Get(address)
		if err != nil {
			return false
		}
		if a.StatusCode != status {
			a.Body.Close()
			return false
		}
		answer = a
		return true
	})
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// until reads a stream up to a line that has a text.
func until(t *testing.T, stream *http.Response, text string) {
	t.Helper()
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the stream ended without %s: %v", text, lines.Err())
}

func port(t *testing.T) string { return fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t)) }

func TestStream(t *testing.T) {
	redis := redistest.Start(t)
	t.Run("is at the pages, and ends when the program stops", func(t *testing.T) {
		address := port(t)
		p := start(t, redis.URL, "--listen", address, "--base", "/kyu")
		stream := get(t, "http://"+address+"/kyu/live", http.StatusOK)
		until(t, stream, `"enqueued":0`)
		redis.Client().LPush(t.Context(), "queue:a", "{}")
		redis.Client().SAdd(t.Context(), "queues", "a")
		until(t, stream, `"enqueued":1`)
		p.stop()
		until(t, stream, "event: bye")
		if code := <-p.ended; code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("is at a listener of its own, for tickets of the pages", func(t *testing.T) {
		pages, address := port(t), port(t)
		start(t, redis.URL, "--listen", pages, "--stream-listen", address)
		ticket := text(t, get(t, "http://"+pages+"/ticket", http.StatusOK))
		stream := get(t, "http://"+address+"/live?ticket="+ticket, http.StatusOK)
		until(t, stream, `"queues":`)
		if got := stream.Header.Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("scripts of the pages cannot read it: %q", got)
		}
		get(t, "http://"+address+"/live", http.StatusUnauthorized)
		get(t, "http://"+address+"/other?ticket="+ticket, http.StatusNotFound)
		get(t, "http://"+pages+"/live", http.StatusNotFound)
		page := get(t, "http://"+pages+"/", http.StatusOK)
		policy := page.Header.Get("Content-Security-Policy")
		if want := "connect-src 'self' http://" + address + ";"; !strings.Contains(policy, want) {
			t.Errorf("no %q in %s", want, policy)
		}
	})
	t.Run("is at several processes, which share the key", func(t *testing.T) {
		key, pages, first, second := keyFile(t), port(t), port(t), port(t)
		start(t, redis.URL, "--listen", pages, "--key-file", key, "--stream-url",
			"https://stream.example")
		for _, address := range []string{first, second} {
			start(t, redis.URL, "--stream-only", "--stream-listen", address, "--key-file", key)
		}
		ticket := text(t, get(t, "http://"+pages+"/ticket", http.StatusOK))
		for _, address := range []string{first, second} {
			until(t, get(t, "http://"+address+"/live?ticket="+ticket, http.StatusOK), `"busy":0`)
			get(t, "http://"+address+"/", http.StatusNotFound)
		}
	})
}

// text is the body of an answer.
func text(t *testing.T, answer *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
