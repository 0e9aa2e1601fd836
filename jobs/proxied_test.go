package jobs_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/smtptest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// nginxConfig makes nginx speak HTTP/2 and pass requests on by HTTP/1.1, as in front of
// most servers.
const nginxConfig = `daemon off; pid %[1]s/pid; error_log stderr; user root; events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c;
  uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server {
    listen %[2]s ssl http2;
    ssl_certificate %[3]s; ssl_certificate_key %[3]s;
    location / {
      proxy_pass %[4]s; proxy_buffering off; proxy_set_header Host $http_host;
      proxy_set_header X-Protocol $server_protocol;
    }
  }
}
`

// nginx starts Debian's nginx in front of a server. It returns its address, and a client's
// configuration that trusts its certificate.
func nginx(t *testing.T, behind string) (address string, config *tls.Config) {
	t.Helper()
	certificate, dir := smtptest.Certificate(t), t.TempDir()
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	address = net.JoinHostPort("127.0.0.1", fmt.Sprint(redistest.FreePort(t)))
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, nginxConfig, dir, address, certificate, behind),
		0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/nginx", "-c", path)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("nginx does not start: %v (make deps)", err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) // a fast shutdown, also of the workers
		cmd.Wait()
	})
	testwait.Until(t, 15*time.Second, "nginx listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address, &tls.Config{RootCAs: roots}
}

func TestNginx(t *testing.T) {
	all := newSite(t)
	in := all.alice()
	address, config := nginx(t, in.URL)
	d := all.deliveries()
	d.HTTP = jobs.ConnectTo(address, config, "Kyu/test")
	t.Cleanup(d.HTTP.Close)
	t.Run("gets deliveries over HTTP/2, and the signature is valid behind it",
		func(t *testing.T) {
			for range 3 {
				a := in.to("/inbox?a=b c")
				a.InboxURL = "https://LOCALHOST:443/inbox?a=b c"
				if err := d.Deliver(t.Context(), a); err != nil {
					t.Error(err)
				}
			}
			if got := in.last.Load().Header.Get("X-Protocol"); got != "HTTP/2.0" {
				t.Errorf("the protocol is %q", got)
			}
		})
}

// TestNginxEndless asks for bodies that do not end, many at once on one connection.
func TestNginxEndless(t *testing.T) {
	all := newSite(t)
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for {
			if _, err := fmt.Fprint(w, "<title>endless</title>"); err != nil {
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	address, config := nginx(t, endless.URL)
	p := all.previews(-1)
	p.HTTP = jobs.ConnectTo(address, config, "Kyu/test")
	t.Cleanup(p.HTTP.Close)
	t.Run("is cut after a mebibyte for each of ten previews", func(t *testing.T) {
		results := make(chan error)
		for i := range 10 {
			go func() {
				results <- p.Preview(t.Context(), jobs.LinkPreview{StatusID: int64(i),
					URL: fmt.Sprint("https://localhost/", i)})
			}()
		}
		for range 10 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if n := all.With(t).count("SELECT count(*) FROM preview_cards"); n != 10 {
			t.Errorf("%d cards of 10 pages", n)
		}
	})
}
