package jobs_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/guard"
	"github.com/kyujobs/kyu/internal/httpsig"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// inbox is another server. It answers with status, once the signature fits.
type inbox struct {
	*httptest.Server
	status  atomic.Int64
	header  http.Header // of every answer
	seen    atomic.Int64
	refuses string // a signature with this header is answered with 401
	last    atomic.Pointer[http.Request]
}

func newInbox(t *testing.T, id string, key *rsa.PublicKey) *inbox {
	in := &inbox{header: http.Header{}}
	in.status.Store(202)
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in.seen.Add(1)
		body, _ := io.ReadAll(r.Body)
		in.last.Store(r)
		for name, values := range in.header {
			w.Header()[name] = values
		}
		if strings.HasPrefix(r.URL.Path, "/moved") {
			http.Redirect(w, r, "/inbox?from="+r.URL.Path, http.StatusPermanentRedirect)
			return
		}
		got, err := httpsig.Verify(r, body, func(string) (crypto.PublicKey, error) {
			return key, nil
		}, time.Now())
		if err != nil || got != id || (in.refuses != "" && r.Header.Get(in.refuses) != "") {
			t.Logf("the inbox: %s %v", got, err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(int(in.status.Load()))
	}))
	t.Cleanup(in.Close)
	return in
}

func (s *site) deliveries() *jobs.Deliveries {
	return &jobs.Deliveries{HTTP: s.http, Hosts: jobs.NewHosts(s.redis, 25, s.slog),
		Actors:       jobs.NewActors(s.db, s.redis, "home.example"),
		Availability: jobs.NewAvailability(s.db, s.redis, s.slog), Log: s.slog}
}

// outcome names what an error makes of a job.
func outcome(err error) string {
	var steer *queue.Steer
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &steer):
		return map[queue.Action]string{queue.Schedule: "snooze", queue.Retry: "retry in",
			queue.Dead: "dead", queue.Done: "discard"}[steer.Action]
	}
	return "retry"
}

func TestADeliveryIsSignedAndJudgedByItsAnswer(t *testing.T) {
	s := newSite(t)
	key := s.account(1, "alice")
	in := newInbox(t, "https://home.example/users/alice#main-key", &key.PublicKey)
	d := s.deliveries()
	activity := `{"type":"Create","id":"https://home.example/1"}`
	deliver := func(path string, o jobs.DeliveryOptions) error {
		return d.Deliver(t.Context(), jobs.Delivery{Body: activity, AccountID: 1,
			InboxURL: in.URL + path, Options: o})
	}
	if err := deliver("/inbox?a=b", jobs.DeliveryOptions{}); err != nil {
		t.Fatal(err)
	}
	if r := in.last.Load(); r.Header.Get("Content-Type") != "application/activity+json" ||
		!strings.HasPrefix(r.Header.Get("User-Agent"), "Kyu/test") ||
		!strings.Contains(r.Header.Get("Signature"), `algorithm="rsa-sha256"`) {
		t.Errorf("%v", r.Header)
	}
	for status, want := range map[int64]string{200: "done", 202: "done", 301: "retry", 304: "retry",
		400: "done", 401: "retry", 403: "done", 404: "done", 408: "retry",
		410: "done", 422: "done", 429: "retry", 500: "retry", 501: "done", 502: "retry",
		503: "retry", 504: "retry"} {
		in.status.Store(status)
		s.redis.FlushAll(t.Context())
		err := deliver("/inbox", jobs.DeliveryOptions{})
		if got := outcome(err); got != want {
			t.Errorf("%d: %s, want %s (%v)", status, got, want, err)
		}
		// Days with failures are counted as Mastodon does: not for what is refused
		// for good, and forgotten after a success.
		if n := s.redis.SCard(t.Context(),
			"exhausted_deliveries:127.0.0.1").Val(); (n == 1) != (want == "retry") {
			t.Errorf("%d: %d days with failures", status, n)
		}
	}
	in.status.Store(202)
	if err := deliver("/moved", jobs.DeliveryOptions{}); err != nil ||
		in.last.Load().URL.RawQuery != "from=/moved" {
		t.Errorf("a redirect is signed for where it goes: %v", err)
	}
	// Another's key, and none.
	other := s.account(2, "mallory")
	if err := d.Deliver(t.Context(), jobs.Delivery{Body: activity, AccountID: 2,
		InboxURL: in.URL}); outcome(err) != "retry" {
		t.Errorf("with another's key: %v", err)
	}
	s.exec("UPDATE accounts SET suspended_at = now() WHERE id = 2")
	if err := s.deliveries().Deliver(t.Context(), jobs.Delivery{Body: activity, AccountID: 2,
		InboxURL: in.URL}); err != nil {
		t.Errorf("401 for an account that is suspended is for good: %v", err)
	}
	if err := d.Deliver(t.Context(), jobs.Delivery{Body: activity, AccountID: 99,
		InboxURL: in.URL}); err != nil {
		t.Errorf("without an account: %v", err)
	}
	if text := fmt.Sprintf("%+v %#v", jobs.DeliveryOptions{SignWith: "PEM"},
		jobs.DeliveryOptions{SignWith: "PEM"}); strings.Contains(text, "PEM") ||
		strings.Contains(s.log.String(), other.D.String()[:20]) {
		t.Error("a key is shown")
	}
}

func TestTheOtherSignatureIsTriedOnceIfThatIsAllowed(t *testing.T) {
	s := newSite(t)
	key := s.account(1, "alice")
	in := newInbox(t, "https://home.example/users/alice#main-key", &key.PublicKey)
	in.refuses = "Digest" // knows RFC 9421 alone
	d := s.deliveries()
	a := jobs.Delivery{Body: `{}`, AccountID: 1, InboxURL: in.URL + "/inbox"}
	if err := d.Deliver(t.Context(), a); outcome(err) != "retry" || in.seen.Load() != 1 {
		t.Errorf("%v after %d requests", err, in.seen.Load())
	}
	d.DoubleKnock = true
	if err := d.Deliver(t.Context(), a); err != nil || in.seen.Load() != 3 {
		t.Errorf("%v after %d requests", err, in.seen.Load())
	}
}

func TestFollowersAreSummedUpForTheirServer(t *testing.T) {
	s := newSite(t)
	key := s.account(1, "alice")
	in := newInbox(t, "https://home.example/users/alice#main-key", &key.PublicKey)
	for i, uri := range []string{in.URL + "/users/a", in.URL + "/users/b",
		"https://else.example/users/c", in.URL + "x/users/d"} {
		s.exec("INSERT INTO accounts (id, username, domain, uri) VALUES ($1, $2, 'b.example', $3)",
			10+i, fmt.Sprint("u", i), uri)
		s.exec("INSERT INTO follows (account_id, target_account_id) VALUES ($1, 1)", 10+i)
	}
	a := jobs.Delivery{Body: `{}`, AccountID: 1, InboxURL: in.URL + "/inbox",
		Options: jobs.DeliveryOptions{SynchronizeFollowers: true}}
	if err := s.deliveries().Deliver(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`collectionId="https://home.example/users/alice/followers", `+
		`digest="%s", url="https://home.example/users/alice/followers_synchronization"`,
		xorOfSums(in.URL+"/users/a", in.URL+"/users/b"))
	if got := in.last.Load().Header.Get("Collection-Synchronization"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	s := newSite(t)
	key := s.account(1, "alice")
	in := newInbox(t, "https://home.example/users/alice#main-key", &key.PublicKey)
	in.status.Store(429)
	d := s.deliveries()
	for value, want := range map[string]time.Duration{"120": 2 * time.Minute, "1": 15 * time.Second,
		"99999999": 12 * time.Hour,
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat): time.Hour} {
		in.header.Set("Retry-After", value)
		err := d.Deliver(t.Context(), jobs.Delivery{Body: `{}`, AccountID: 1, InboxURL: in.URL})
		var steer *queue.Steer
		if !errors.As(err, &steer) || steer.Action != queue.Retry ||
			steer.In < want-5*time.Second || steer.In > want+time.Second {
			t.Errorf("Retry-After: %s gives %v", value, err)
		}
	}
	in.header.Set("Retry-After", "soon")
	if err := d.Deliver(t.Context(), jobs.Delivery{Body: `{}`, AccountID: 1,
		InboxURL: in.URL}); outcome(err) != "retry" {
		t.Error(err)
	}
}

func TestAHostThatFailedOnSevenDaysIsGoneUntilItAnswers(t *testing.T) {
	s := newSite(t)
	key := s.account(1, "alice")
	in := newInbox(t, "https://home.example/users/alice#main-key", &key.PublicKey)
	in.status.Store(500)
	for day := range 6 {
		s.redis.SAdd(t.Context(), "exhausted_deliveries:127.0.0.1", "2026110"+strconv.Itoa(day))
	}
	d := s.deliveries()
	a := jobs.Delivery{Body: `{}`, AccountID: 1, InboxURL: in.URL}
	if err := d.Deliver(t.Context(), a); outcome(err) != "retry" ||
		s.count("SELECT count(*) FROM unavailable_domains WHERE domain = '127.0.0.1'") != 1 {
		t.Fatalf("the seventh day: %v", err)
	}
	seen := in.seen.Load()
	for name, d := range map[string]*jobs.Deliveries{"the same worker": d,
		"another": s.deliveries()} {
		if err := d.Deliver(t.Context(), a); err != nil || in.seen.Load() != seen {
			t.Errorf("%s still sends: %v", name, err)
		}
	}
	in.status.Store(202)
	a.Options.BypassAvailability = true
	if err := d.Deliver(t.Context(), a); err != nil ||
		s.count("SELECT count(*) FROM unavailable_domains") != 0 ||
		s.redis.Exists(t.Context(), "exhausted_deliveries:127.0.0.1").Val() != 0 {
		t.Errorf("after a success: %v", err)
	}
}

func TestAnOpenBreakerPutsJobsOffAndOneProbes(t *testing.T) {
	s := newSite(t)
	key := s.account(1, "alice")
	in := newInbox(t, "https://home.example/users/alice#main-key", &key.PublicKey)
	in.status.Store(500)
	d, other := s.deliveries(), s.deliveries() // two workers
	a := jobs.Delivery{Body: `{}`, AccountID: 1, InboxURL: in.URL}
	for range 3 {
		if err := d.Deliver(t.Context(), a); outcome(err) != "retry" {
			t.Fatal(err)
		}
	}
	seen := in.seen.Load()
	for _, w := range []*jobs.Deliveries{d, other} {
		err := w.Deliver(t.Context(), a)
		var steer *queue.Steer
		if !errors.As(err, &steer) || steer.Action != queue.Schedule || steer.In < 50*time.Second ||
			steer.In > 65*time.Second || in.seen.Load() != seen {
			t.Errorf("with an open breaker: %v", err)
		}
	}
	past := func() { s.redis.HSet(t.Context(), "kyu:breaker:127.0.0.1", "until", 1) }
	past() // the cool-off is over: one request tries
	if err := other.Deliver(t.Context(), a); outcome(err) != "retry" || in.seen.Load() != seen+1 {
		t.Errorf("no probe: %v", err)
	}
	if cool := s.redis.HGet(t.Context(), "kyu:breaker:127.0.0.1", "cool").Val(); cool != "120000" {
		t.Errorf("after a failed probe it cools off for %s ms", cool)
	}
	if err := d.Deliver(t.Context(), a); outcome(err) != "snooze" {
		t.Errorf("after a failed probe: %v", err)
	}
	past()
	in.status.Store(202)
	for range 3 {
		if err := d.Deliver(t.Context(), a); err != nil {
			t.Errorf("after a probe that succeeded: %v", err)
		}
	}
}

func TestWithoutRedisADeliveryIsMadeAllTheSame(t *testing.T) {
	s := newSite(t)
	key := s.account(1, "alice")
	in := newInbox(t, "https://home.example/users/alice#main-key", &key.PublicKey)
	s.redis.Close()
	if err := s.deliveries().Deliver(t.Context(), jobs.Delivery{Body: `{}`, AccountID: 1,
		InboxURL: in.URL}); err != nil || in.seen.Load() != 1 {
		t.Errorf("%v after %d requests", err, in.seen.Load())
	}
}

func TestWhatNobodyMayReachIsNotTriedAgain(t *testing.T) {
	s := newSite(t)
	s.account(1, "alice")
	d := s.deliveries()
	d.HTTP = jobs.NewHTTP(&guard.Guard{}, "test")
	for _, url := range []string{"http://127.0.0.1:1/inbox", "http://localhost:1/inbox",
		"ftp://example.com/inbox", "http://user:hush@example.com/", "nonsense"} {
		if err := d.Deliver(t.Context(), jobs.Delivery{Body: `{}`, AccountID: 1,
			InboxURL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if n := strings.Count(s.log.String(), "not sent, and not tried again"); n != 5 {
		t.Errorf("%d of 5 are told:\n%s", n, s.log)
	}
	s.exec("INSERT INTO webhooks (id, url, secret) VALUES (1, 'http://127.0.0.1:1/hush', 'x')")
	w := &jobs.Webhooks{DB: s.db, HTTP: s.http, Hosts: jobs.NewHosts(s.redis, 25, s.slog),
		Log: s.slog}
	if err := w.Deliver(t.Context(), jobs.Webhook{WebhookID: 1, Body: "{}"}); err != nil ||
		!strings.Contains(s.log.String(), "webhook/1") {
		t.Errorf("a webhook to a port that is not for HTTP: %v", err)
	}
	if strings.Contains(s.log.String(), "hush") {
		t.Error("the log shows what is secret in a URL")
	}
}

// hanging is a host that does not answer before release is closed.
func hanging(t *testing.T) (url string, release chan struct{}) {
	release = make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		<-release
	}))
	t.Cleanup(server.Close)
	return server.URL, release
}

func TestAHostThatHangsHoldsHalfOfTheThreads(t *testing.T) {
	s := newSite(t)
	s.account(1, "alice")
	url, release := hanging(t)
	d := s.deliveries()
	results := make(chan error, 25)
	for range 25 {
		go func() {
			results <- d.Deliver(t.Context(), jobs.Delivery{Body: `{}`, AccountID: 1,
				InboxURL: url})
		}()
	}
	for range 13 {
		if err := <-results; outcome(err) != "snooze" {
			t.Error(err)
		}
	}
	close(release)
	for range 12 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestAHostThatIsSlowHoldsAnEighthOfTheThreads(t *testing.T) {
	s := newSite(t)
	s.account(1, "alice")
	url, release := hanging(t)
	d := s.deliveries()
	results := make(chan error, 3)
	for range 3 {
		go func() {
			results <- d.Deliver(t.Context(), jobs.Delivery{Body: `{}`, AccountID: 1,
				InboxURL: url})
		}()
	}
	// What is not put off yet ends by itself: nobody waits for it here.
	testwait.Until(t, 5*time.Second, "the three count as slow, and one more is put off",
		func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			return outcome(d.Deliver(ctx, jobs.Delivery{Body: `{}`, AccountID: 1,
				InboxURL: url})) == "snooze"
		})
	close(release)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestAWebhookIsSignedWithItsSecret(t *testing.T) {
	s := newSite(t)
	var got *http.Request
	var body []byte
	status := 200
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
	}))
	defer hook.Close()
	s.exec("INSERT INTO webhooks (id, url, secret, enabled) VALUES (1, $1, 'It''s a Secret to "+
		"Everybody', true), (2, $2, 'x', false)", hook.URL, hook.URL+"/2")
	w := &jobs.Webhooks{DB: s.db, HTTP: s.http, Hosts: jobs.NewHosts(s.redis, 25, s.slog),
		Log: s.slog}
	ctx := run(t, `{"class":"Webhooks::DeliveryWorker","jid":"abc","args":[]}`)
	if err := w.Deliver(ctx, jobs.Webhook{1, "Hello, World!"}); err != nil {
		t.Fatal(err)
	}
	// The example of GitHub's documentation of webhooks.
	if got.Header.Get("X-Hub-Signature") !=
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17" ||
		string(body) != "Hello, World!" || got.Header.Get("X-Kyu-Job") != "abc" {
		t.Errorf("%v %s", got.Header, body)
	}
	for code, want := range map[int]string{404: "done", 500: "retry", 429: "retry"} {
		status = code
		if err := w.Deliver(ctx, jobs.Webhook{1, "{}"}); outcome(err) != want {
			t.Errorf("%d: %v", code, err)
		}
	}
	got = nil
	for _, id := range []int64{2, 3} {
		if err := w.Deliver(ctx, jobs.Webhook{id, "{}"}); err != nil || got != nil {
			t.Errorf("a webhook that is disabled or gone: %v", err)
		}
	}
}

func TestDeliveriesWaitAsMastodonsDo(t *testing.T) {
	var least, most time.Duration
	for n := range 16 {
		low, high := time.Duration(1<<62), time.Duration(0)
		for range 2000 {
			d := jobs.DeliveryDelay(n, nil)
			low, high = min(low, d), max(high, d)
		}
		least += low
		most += high + 10*time.Duration(n+1)*time.Second
	}
	if h := least.Hours(); h < 49.5 || h > 50.5 {
		t.Errorf("16 retries take at least %.1f h, want 49.6", h)
	}
	if h := most.Hours(); h < 74 || h > 75 {
		t.Errorf("16 retries take at most %.1f h, want 74.7", h)
	}
}
