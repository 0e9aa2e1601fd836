package acceptance

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/internal/httpsig"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/smtptest"
)

// otherServer is a server with an inbox, an object and a page; it counts good
// signatures and webhooks.
func otherServer(t *testing.T, key *rsa.PublicKey) (url string, delivered, hooks *atomic.Int64) {
	delivered, hooks = &atomic.Int64{}, &atomic.Int64{}
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/inbox":
			if _, err := httpsig.Verify(r, body, func(string) (crypto.PublicKey, error) {
				return key, nil
			}, time.Now()); err != nil {
				t.Error(err)
			}
			delivered.Add(1)
		case "/hook":
			if r.Header.Get("X-Hub-Signature") == "" {
				t.Error("a webhook without a signature")
			}
			hooks.Add(1)
		case "/note":
			w.Header().Set("Content-Type", "application/activity+json")
			fmt.Fprintf(w, `{"id":%q}`, server.URL+"/note")
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<title>A page</title>`)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, delivered, hooks
}

func TestTheFourQueuesDoTheirRealWork(t *testing.T) {
	s := harness.New(t)
	cluster := pgtest.StartCluster(t)
	migrate(s, cluster.URL)
	// As on a server that has grown: behind PgBouncer, with a replica, and a cache
	// of its own.
	pooled, _ := cluster.Pooler("default_pool_size = 3")
	replica := cluster.Replica()
	mail := smtptest.Start(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	url, delivered, hooks := otherServer(t, &key.PublicKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(key)})
	pgtest.Exec(t, cluster.URL, "INSERT INTO accounts (id, username, private_key) VALUES (1, "+
		"'alice', $1), (2, 'bob', NULL)", string(text))
	pgtest.Exec(t, cluster.URL, `INSERT INTO users (account_id, current_sign_in_at)
			VALUES (2, now() AT TIME ZONE 'UTC');
		INSERT INTO follows (account_id, target_account_id) VALUES (2, 1);
		INSERT INTO statuses (id, account_id) VALUES (100, 1);
		INSERT INTO mentions (id, account_id, status_id) VALUES (5, 2, 100);
		INSERT INTO webhooks (id, url, secret) VALUES (1, '`+url+`/hook', 'x')`)
	address := fmt.Sprint("127.0.0.1:", redistest.FreePort(t))
	w := s.WorkerWith([]string{"DATABASE_URL=" + pooled, "REPLICA_DATABASE_URL=" + replica.URL,
		"CACHE_REDIS_URL=" + redistest.Start(t).URL, "LOCAL_DOMAIN=home.example",
		"TEST_NO_JITTER=1", "ALLOWED_PRIVATE_ADDRESSES=127.0.0.1", "SMTP_SERVER=127.0.0.1",
		fmt.Sprint("SMTP_PORT=", mail.Port)}, "-c", "10", "--http", address)
	push := func(q, class string, args ...any) { s.Push(class, args, queue.Options{Queue: q}) }
	push("default", "DistributionWorker", 100)
	push("push", "ActivityPub::DeliveryWorker", `{"type":"Create"}`, 1, url+"/inbox",
		map[string]any{"synchronize_followers": true})
	push("push", "Webhooks::DeliveryWorker", 1, `{"event":"x"}`)
	push("mailers", "MailDeliveryWorker", map[string]any{"to": []string{"a@b.example"},
		"subject": "S", "text": "T"})
	push("pull", "ActivityPub::LowPriorityDeliveryWorker", `{"type":"Delete"}`, 1, url+"/inbox")
	push("pull", "FetchResourceWorker", url+"/note")
	push("pull", "LinkPreviewWorker", 100, url+"/page")
	s.Until(30*time.Second, "all jobs, and those that they push, are done", func() bool {
		done, _ := inspect.New(s.Store).Stats(t.Context())
		return s.Waiting()+s.InFlight() == 0 && done.Processed >= 10
	})
	conn, err := pgx.Connect(t.Context(), cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var rows string
	err = conn.QueryRow(t.Context(), `SELECT concat_ws(' ',
		(SELECT count(*) FROM notifications WHERE account_id = 2),
		(SELECT count(*) FROM kyu_resources),
		(SELECT count(*) FROM preview_cards_statuses))`).Scan(&rows)
	if err != nil || rows != "1 1 1" || delivered.Load() != 2 || hooks.Load() != 1 ||
		len(mail.Mails()) != 1 || s.Raw.ZCard(t.Context(), "feed:home:2").Val() != 1 ||
		s.Raw.ZCard(t.Context(), "feed:home:1").Val() != 1 {
		t.Errorf("rows %s, %d deliveries, %d webhooks, %d mails, %v", rows, delivered.Load(),
			hooks.Load(), len(mail.Mails()), err)
	}
	// Postgres's metrics are those of the manual.
	manual, err := os.ReadFile(filepath.Join(harness.Root(), "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	metrics := page(t, "http://"+address+"/metrics")
	for _, name := range regexp.MustCompile(`kyu_pg_\w+`).FindAllString(string(manual), -1) {
		if !strings.Contains(metrics, "# TYPE "+name+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}
	if s.Card("retry")+s.Card("dead") != 0 ||
		!w.Says("pooler=transaction prepared_statements=false") {
		t.Error("something failed, or the pooler was not found")
	}
}

// page gets a page.
func page(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheDemoTellsItsStoryAndEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(harness.Bin, "demo"))
	cmd.Env = append(os.Environ(), "REDIS_URL=", "DATABASE_URL=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"3 deliveries with a good signature, 3 mails, 3 objects asked " +
		"for", "3 objects in Postgres, 3 statuses in bob's home feed", "WARN: fail", "reclaimed",
		"That was it."} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not say %q", want)
		}
	}
	var order []string
	for line := range strings.Lines(string(out)) {
		if _, rest, ok := strings.Cut(line, "queue="); ok &&
			strings.Contains(line, "INFO: start") && len(order) < 12 {
			order = append(order, strings.Fields(rest)[0])
		}
	}
	if got := strings.Join(order, " "); got != "default default default push push push mailers "+
		"mailers mailers pull pull pull" {
		t.Error("the order was", got)
	}
}
