package acceptance

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/httpsig"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/smtptest"
)

func TestJobs(t *testing.T) {
	t.Parallel()
	t.Run("the jobs of the four queues do their work", func(t *testing.T) {
		t.Parallel()
		testFourQueues(newTown(t))
	})
}

// town is a server that has grown: behind PgBouncer, with a replica and a cache of its own. Its
// jobs talk to a mail server and to another web server.
type town struct {
	*harness.Site
	primary *pgtest.Cluster
	mail    *smtptest.Server
	other   *otherServer
	address string // of the worker's HTTP server
	worker  *harness.Process
}

// newTown starts the servers and a worker. In Postgres, bob follows alice, who has written the
// status 100, which mentions bob.
func newTown(t *testing.T) *town {
	key, text := newKey(t)
	w := &town{Site: harness.New(t), primary: pgtest.StartCluster(t), mail: smtptest.Start(t),
		other:   newOtherServer(t, &key.PublicKey),
		address: fmt.Sprint("127.0.0.1:", redistest.FreePort(t))}
	migrate(w.Site, w.primary.URL)
	pooled, _ := w.primary.Pooler("default_pool_size = 3")
	replica := w.primary.Replica()
	pgtest.Exec(t, w.primary.URL, "INSERT INTO accounts (id, username, private_key) VALUES (1, "+
		"'alice', $1), (2, 'bob', NULL)", text)
	pgtest.Exec(t, w.primary.URL, `INSERT INTO users (account_id, current_sign_in_at)
			VALUES (2, now() AT TIME ZONE 'UTC');
		INSERT INTO follows (account_id, target_account_id) VALUES (2, 1);
		INSERT INTO statuses (id, account_id) VALUES (100, 1);
		INSERT INTO mentions (id, account_id, status_id) VALUES (5, 2, 100);
		INSERT INTO webhooks (id, url, secret) VALUES (1, '`+w.other.URL+`/hook', 'x')`)
	w.worker = w.WorkerWith([]string{"DATABASE_URL=" + pooled,
		"REPLICA_DATABASE_URL=" + replica.URL, "CACHE_REDIS_URL=" + redistest.Start(t).URL,
		"LOCAL_DOMAIN=home.example", "TEST_NO_JITTER=1", "ALLOWED_PRIVATE_ADDRESSES=127.0.0.1",
		"SMTP_SERVER=127.0.0.1", fmt.Sprint("SMTP_PORT=", w.mail.Port)},
		"-c", "10", "--http", w.address)
	return w
}

// newKey makes the key of an account, and the text of the key that Postgres keeps.
func newKey(t testing.TB) (*rsa.PrivateKey, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY",
		Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

// pushAll pushes at least one job for each queue.
func (w *town) pushAll() {
	w.Helper()
	push := func(q, class string, args ...any) { w.Push(class, args, queue.Options{Queue: q}) }
	push("default", "DistributionWorker", 100)
	push("push", "ActivityPub::DeliveryWorker", `{"type":"Create"}`, 1, w.other.URL+"/inbox",
		map[string]any{"synchronize_followers": true})
	push("push", "Webhooks::DeliveryWorker", 1, `{"event":"x"}`)
	push("mailers", "MailDeliveryWorker", map[string]any{"to": []string{"a@b.example"},
		"subject": "S", "text": "T"})
	push("pull", "ActivityPub::LowPriorityDeliveryWorker", `{"type":"Delete"}`, 1,
		w.other.URL+"/inbox")
	push("pull", "FetchResourceWorker", w.other.URL+"/note")
	push("pull", "LinkPreviewWorker", 100, w.other.URL+"/page")
}

func testFourQueues(w *town) {
	w.pushAll()
	w.Until(30*time.Second, "all jobs, and those that they push, have run", func() bool {
		stats, err := inspect.New(w.Store).Stats(w.Context())
		return err == nil && stats.Processed >= 10 && w.Waiting()+w.InFlight() == 0
	})
	rows := func(table string) string {
		return pgtest.Query(w, w.primary.URL, "SELECT count(*)::text FROM "+table)
	}
	w.Equal("notifications of bob", rows("notifications WHERE account_id = 2"), 1)
	w.Equal("objects", rows("kyu_resources"), 1)
	w.Equal("link previews", rows("preview_cards_statuses"), 1)
	w.Equal("deliveries", w.other.deliveries.Load(), 2)
	w.Equal("webhooks", w.other.hooks.Load(), 1)
	w.Equal("mails", len(w.mail.Await(w, 1)), 1)
	w.Equal("statuses in bob's home feed", w.Card("feed:home:2"), 1)
	w.Equal("statuses in alice's home feed", w.Card("feed:home:1"), 1)
	w.Equal("failures", w.Card("retry")+w.Card("dead"), 0)
	w.Contains("log", w.worker.Log(), "pooler=transaction prepared_statements=false")
	w.hasPostgresMetrics()
}

// hasPostgresMetrics checks that the worker has the metrics of Postgres that the manual names.
func (w *town) hasPostgresMetrics() {
	w.Helper()
	r, err := http.Get("http://" + w.address + "/metrics")
	w.Must(err)
	defer r.Body.Close()
	metrics, err := io.ReadAll(r.Body)
	w.Must(err)
	manual := readFile(w, "docs/operations.md")
	for _, name := range regexp.MustCompile(`kyu_pg_\w+`).FindAllString(manual, -1) {
		if !strings.Contains(string(metrics), "# TYPE "+name+" ") {
			w.Errorf("there is no metric %s", name)
		}
	}
}

// otherServer has an inbox, a webhook, an object and a page. It counts what it gets.
type otherServer struct {
	*httptest.Server
	t                 testing.TB
	key               *rsa.PublicKey
	deliveries, hooks atomic.Int64
}

func newOtherServer(t testing.TB, key *rsa.PublicKey) *otherServer {
	o := &otherServer{t: t, key: key}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

// ServeHTTP checks the signatures of deliveries and webhooks.
func (o *otherServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		o.t.Error(err)
	}
	switch r.URL.Path {
	case "/inbox":
		if _, err := httpsig.Verify(r, body, func(string) (crypto.PublicKey, error) {
			return o.key, nil
		}, time.Now()); err != nil {
			o.t.Error(err)
		}
		o.deliveries.Add(1)
	case "/hook":
		if r.Header.Get("X-Hub-Signature") == "" {
			o.t.Error("a webhook without a signature")
		}
		o.hooks.Add(1)
	case "/note":
		w.Header().Set("Content-Type", "application/activity+json")
		fmt.Fprintf(w, `{"id":%q}`, o.URL+"/note")
	default:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<title>A page</title>`)
	}
}
