package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/smtptest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// nginxMain is what stands around the server of docs/dashboard.md, and a second server that does
// not pass Host on. %[1]s is the folder of the process, %[2]s the text of the document, %[3]s the
// address of the second server, %[4]s the certificate, %[5]s the address of the dashboard.
const nginxMain = `daemon off; pid %[1]s/pid; error_log stderr; user root; events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c;
  uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  %[2]s
  server {
    listen %[3]s ssl;
    ssl_certificate %[4]s;
    ssl_certificate_key %[4]s;
    location / { proxy_pass http://%[5]s; }
  }
}
`

// documentedServer is the server of nginx in docs/dashboard.md, with other addresses and another
// certificate.
func documentedServer(t *testing.T, replace ...string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/dashboard.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(b), "```nginx\n")
	text, _, closed := strings.Cut(text, "```")
	if !found || !closed {
		t.Fatal("docs/dashboard.md has no server of nginx")
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("the server of nginx has no %s", replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(text)
}

// proxied is a dashboard behind a real nginx below /kyu, with two processes for the stream, as
// docs/dashboard.md has it.
type proxied struct {
	url     string // of the documented server
	bare    string // of the one that does not pass Host on
	browser *http.Client
}

// startProxied starts all of it.
func startProxied(t *testing.T) *proxied {
	t.Helper()
	free := func() string { return fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t)) }
	pages, streams, front, bare := free(), []string{free(), free()}, free(), free()
	_, port, _ := net.SplitHostPort(front)
	p := &proxied{url: "https://localhost:" + port}
	_, port, _ = net.SplitHostPort(bare)
	p.bare = "https://localhost:" + port

	redis := redistest.Start(t)
	redis.Client().SAdd(t.Context(), "queues", "push")
	redis.Client().LPush(t.Context(), "queue:push", "{}")
	environment := map[string]string{"REDIS_URL": redis.URL,
		"STREAMING_API_BASE_URL": p.url + "/kyu/streams"}
	key, users := keyFile(t), filepath.Join(t.TempDir(), "users")
	if _, err := access.SetUser(users, "ada", access.Admin, "correct horse"); err != nil {
		t.Fatal(err)
	}
	startProgram(t, environment, pages, "--listen", pages, "--base", "/kyu", "--proxy-from",
		"127.0.0.1", "--users", users, "--key-file", key)
	for _, address := range streams {
		startProgram(t, environment, address, "--stream-only", "--stream-listen", address,
			"--key-file", key)
	}
	certificate, dir := smtptest.Certificate(t), t.TempDir()
	server := documentedServer(t, "127.0.0.1:9292", pages, "127.0.0.1:9293", streams[0],
		"127.0.0.1:9294", streams[1], "listen 443", "listen "+front, "/etc/ssl/kyu.pem",
		certificate)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, nginxMain, dir, server, bare, certificate, pages),
		0o600); err != nil {
		t.Fatal(err)
	}
	startNginx(t, path, front)
	p.browser = browserThatTrusts(t, certificate)
	return p
}

// startProgram runs the program until the test ends.
func startProgram(t *testing.T, environment map[string]string, address string, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if code, _, text := call(ctx, environment, args...); code != 0 {
			t.Errorf("%v: exit code %d, %s", args, code, text)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	listens(t, address)
}

func listens(t *testing.T, address string) {
	t.Helper()
	testwait.Until(t, 15*time.Second, address+" listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func startNginx(t *testing.T, config, address string) {
	t.Helper()
	cmd := exec.Command("/usr/sbin/nginx", "-c", config)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("nginx does not start: %v (make deps)", err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) // a fast shutdown, also of the workers
		cmd.Wait()
	})
	listens(t, address)
}

func browserThatTrusts(t *testing.T, certificate string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

// get opens a page.
func (p *proxied) get(t *testing.T, path string) (status int, text string) {
	t.Helper()
	answer, err := p.browser.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b)
}

// post sends a form as a browser does over HTTPS, without the headers Sec-Fetch-*.
func (p *proxied) post(t *testing.T, base, path, origin string, form url.Values) (status int,
	text string) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), "POST", base+path,
		strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Origin", origin)
	answer, err := p.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b)
}

func TestBehindNginx(t *testing.T) {
	p := startProxied(t)
	t.Run("a person signs in by the form", func(t *testing.T) {
		status, page := p.post(t, p.url, "/kyu/login", p.url, url.Values{"name": {"ada"},
			"password": {"correct horse"}, "next": {"/kyu/queues"}})
		if status != http.StatusOK || !strings.Contains(page, "ada") {
			t.Fatalf("%d %s", status, page)
		}
	})
	t.Run("pages and their files are below the path", func(t *testing.T) {
		status, page := p.get(t, "/kyu/")
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, page)
		}
		if !strings.Contains(page, p.url+"/kyu/streams/live") {
			t.Errorf("the page does not name the stream: %s", page)
		}
		for _, piece := range strings.Split(page, `href="`)[1:] {
			link, _, _ := strings.Cut(piece, `"`)
			if strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "/kyu/") {
				t.Errorf("a link to %s leads out of /kyu", link)
			}
			if strings.HasPrefix(link, "/kyu/") && !strings.Contains(link, "lang=") {
				if status, _ := p.get(t, link); status != http.StatusOK {
					t.Errorf("%s: %d", link, status)
				}
			}
		}
	})
	t.Run("a form changes something", func(t *testing.T) {
		status, page := p.post(t, p.url, "/kyu/queues/push/pause", p.url, nil)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, page)
		}
		if _, page := p.get(t, "/kyu/audit"); !strings.Contains(page, "pause") ||
			!strings.Contains(page, "ada") {
			t.Errorf("it is not in the audit: %s", page)
		}
	})
	t.Run("a form of another site is refused, and the page names the headers", func(t *testing.T) {
		status, page := p.post(t, p.url, "/kyu/queues/push/unpause", "https://evil.example", nil)
		if status != http.StatusForbidden || !strings.Contains(page, "https://evil.example") ||
			!strings.Contains(page, strings.TrimPrefix(p.url, "https://")) {
			t.Errorf("%d %s", status, page)
		}
	})
	t.Run("a proxy that does not pass Host on is named by its header", func(t *testing.T) {
		status, page := p.post(t, p.bare, "/kyu/queues/push/unpause", p.bare, nil)
		for _, want := range []string{"Origin", "Host", p.bare, "127.0.0.1:"} {
			if status != http.StatusForbidden || !strings.Contains(page, want) {
				t.Errorf("%d, no %q in %s", status, want, page)
			}
		}
	})
	t.Run("the stream comes through, from processes of its own", func(t *testing.T) {
		for range 4 { // both processes, in turn
			_, ticket := p.get(t, "/kyu/ticket")
			p.reads(t, "/kyu/streams/live?ticket="+url.QueryEscape(ticket))
		}
		if status, text := p.get(t, "/kyu/streams/live"); status != http.StatusUnauthorized {
			t.Errorf("without a ticket: %d %s", status, text)
		}
	})
}

// reads opens the stream, and waits for its first state.
func (p *proxied) reads(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", p.url+path, nil)
	answer, err := p.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if lines.Text() == "event: state" {
			return
		}
	}
	t.Errorf("%s: %s, and no state came", path, answer.Status)
}
