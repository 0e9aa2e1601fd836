package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestPushWritesTheCanonicalPayload(t *testing.T) {
	f := newFixture(t)
	jid, err := f.client.Push(t.Context(), "My::Job", []any{1, 1.0, "é<b>&\u2028", nil,
		map[string]any{"k": []bool{true}}}, queue.Options{
		Queue: "a", Retry: queue.RetryMax(3), RetryFor: time.Hour, RetryQueue: "b", NoDead: true,
		Backtrace: 5, Tags: []string{"x"}, Extra: map[string]any{"locale": "ja"}})
	if err != nil {
		t.Fatal(err)
	}
	raw := f.raw.LIndex(t.Context(), "queue:a", 0).Val()
	want := `^\{"retry":3,"queue":"a","class":"My::Job","args":\[1,1\.0,"é<b>&` + "\u2028" +
		`",null,\{"k":\[true\]\}\],"jid":"` + jid +
		`","created_at":\d+\.\d+,"retry_for":3600,"retry_queue":"b","dead":false,"backtrace":5,` +
		`"tags":\["x"\],"locale":"ja","enqueued_at":\d+\.\d+\}$`
	if !regexp.MustCompile(want).MatchString(raw) {
		t.Errorf("payload %s\nwant    %s", raw, want)
	}
	if !regexp.MustCompile(`^[0-9a-f]{24}$`).MatchString(jid) {
		t.Errorf("jid %q", jid)
	}
	if !f.raw.SIsMember(t.Context(), "queues", "a").Val() {
		t.Error("the queue is not in the set of queues")
	}
}

func TestAScheduledPayloadHasNeitherAtNorEnqueuedAt(t *testing.T) {
	f := newFixture(t)
	due := time.Now().Add(time.Hour)
	if _, err := f.client.PushAt(t.Context(), due, "Job", nil, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	f.at("schedule=1")
	z := f.raw.ZRangeWithScores(t.Context(), "schedule", 0, -1).Val()[0]
	raw := z.Member.(string)
	if strings.Contains(raw, `"at"`) || strings.Contains(raw, "enqueued_at") ||
		math.Abs(z.Score-float64(due.UnixMicro())/1e6) > 1e-6 {
		t.Errorf("%s at %f", raw, z.Score)
	}
	if f.raw.Exists(t.Context(), "queues").Val() != 0 {
		t.Error("a queue without a job is in the set of queues")
	}
	if _, err := f.client.PushIn(t.Context(), -time.Second, "Job", nil,
		queue.Options{Queue: "a"}); err != nil {
		t.Fatal(err)
	}
	f.at("queue:a=1 schedule=1") // the past is now
}

func TestABulkPushKeepsOrderInSlices(t *testing.T) {
	f := newFixture(t)
	args := make([][]any, 2500)
	for i := range args {
		args[i] = []any{i}
	}
	jids, err := f.client.PushBulk(t.Context(), "Job", args, queue.Options{Queue: "a"})
	if err != nil || len(jids) != 2500 {
		t.Fatal(len(jids), err)
	}
	page, _ := inspect.New(f.store).QueuePage(t.Context(), "a", 0, 2500)
	for i, raw := range page {
		if j, _ := envelope.ParseJob(raw); j.JID != jids[i] ||
			string(j.Args) != fmt.Sprintf("[%d]", i) {
			t.Fatalf("place %d holds %s", i, raw)
		}
	}
	jids, err = f.client.PushBulk(t.Context(), "Job", args[:150],
		queue.Options{At: time.Now().Add(time.Hour)})
	if err != nil || len(jids) != 150 {
		t.Error(len(jids), err)
	}
	f.at("queue:a=2500 schedule=150")
	if _, err := f.client.PushBulk(t.Context(), "Job", args[:2],
		queue.Options{JID: "x"}); err == nil {
		t.Error("one JID was taken for two jobs")
	}
}

func TestABadPushIsRefusedAndNothingIsStored(t *testing.T) {
	f := newFixture(t)
	var deep any = 1
	for range 99 {
		deep = []any{deep}
	}
	type badKey struct{ X float64 }
	for name, c := range map[string]struct {
		class string
		args  []any
		o     queue.Options
		field string
	}{
		"class":       {"A B", nil, queue.Options{}, "class"},
		"empty class": {"", nil, queue.Options{}, "class"},
		"queue":       {"A", nil, queue.Options{Queue: "a/b"}, "queue"},
		"long queue":  {"A", nil, queue.Options{Queue: strings.Repeat("x", 129)}, "queue"},
		"retry queue": {"A", nil, queue.Options{RetryQueue: "é"}, "retry_queue"},
		"retry for":   {"A", nil, queue.Options{RetryFor: 2e9 * time.Second}, "retry_for"},
		"NaN":         {"A", []any{math.NaN()}, queue.Options{}, "args"},
		"NaN inside":  {"A", []any{badKey{math.Inf(1)}}, queue.Options{}, "args"},
		"UTF-8":       {"A", []any{"\xff"}, queue.Options{}, "args"},
		"depth 101":   {"A", []any{deep}, queue.Options{}, "args"},
		"channel":     {"A", []any{make(chan int)}, queue.Options{}, "args"},
		"bad JSON":    {"A", []any{json.RawMessage("{")}, queue.Options{}, "args"},
		"1e400":       {"A", []any{json.RawMessage("1e400")}, queue.Options{}, "args"},
		"extra":       {"A", nil, queue.Options{Extra: map[string]any{"jid": 1}}, "extra"},
	} {
		_, err := f.client.Push(t.Context(), c.class, c.args, c.o)
		var invalid *queue.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != c.field {
			t.Errorf("%s: %v, want it to name %s", name, err, c.field)
		}
	}
	var large *queue.TooLargeError
	if _, err := f.client.Push(t.Context(), "A", []any{strings.Repeat("x", 1<<20)},
		queue.Options{}); !errors.As(err, &large) || large.Limit != 1<<20 {
		t.Errorf("a payload over the limit: %v", err)
	}
	f.at("")
}

func TestClientMiddlewareChangesAndVetoes(t *testing.T) {
	f := newFixture(t)
	var order []string
	trace := func(name string) queue.ClientMiddleware {
		return func(ctx context.Context, j *queue.NewJob,
			next func(context.Context, *queue.NewJob) error) error {
			order = append(order, name)
			if j.Class == "Veto" {
				return nil
			}
			j.Extra = map[string]any{"trace": name}
			return next(ctx, j)
		}
	}
	c := queue.NewClient(f.store, trace("outer"), trace("inner"))
	if jid, err := c.Push(t.Context(), "Veto", nil, queue.Options{}); jid != "" || err != nil {
		t.Errorf("veto: %q %v", jid, err)
	}
	f.at("")
	c.Push(t.Context(), "Job", nil, queue.Options{Queue: "a"})
	if raw := f.raw.LIndex(t.Context(), "queue:a", 0).Val(); !strings.Contains(raw,
		`"trace":"inner"`) {
		t.Error(raw)
	}
	if got := strings.Join(order, " "); got != "outer outer inner" {
		t.Errorf("order %s", got)
	}
}

func TestALostReplyIsSaidAndNeverSentTwice(t *testing.T) {
	f := newFixture(t)
	proxy := faultproxy.Start(t, f.server.Addr)
	store, err := queue.Open(t.Context(), queue.Config{URL: "redis://" + proxy.Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c := queue.NewClient(store)
	proxy.DropReply(faultproxy.Script("push"), 1)
	jid, err := c.Push(t.Context(), "Job", nil, queue.Options{Queue: "a", Idempotent: true})
	if !errors.Is(err, queue.ErrUnknown) || jid == "" {
		t.Fatalf("push: %q %v, want ErrUnknown and the JID", jid, err)
	}
	f.at("queue:a=1")
	if _, err := c.Push(t.Context(), "Job", nil, queue.Options{Queue: "a", Idempotent: true,
		JID: jid}); err != nil {
		t.Fatal(err)
	}
	f.at("queue:a=1") // repeated with its JID it is there once
	if ttl := f.raw.TTL(t.Context(), "kyu:pushed:"+jid).Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("the marker lives for %v", ttl)
	}
}

func TestAnUnreachableRedisIsToldFromAnUnknownOutcome(t *testing.T) {
	f := newFixture(t)
	f.server.Kill()
	_, err := f.client.Push(t.Context(), "Job", nil, queue.Options{})
	if err == nil || (errors.Is(err, queue.ErrUnknown) && !strings.Contains(err.Error(), "EOF")) {
		t.Errorf("push: %v", err)
	}
	if _, err = f.client.Push(t.Context(), "Job", nil, queue.Options{}); errors.Is(err,
		queue.ErrUnknown) || !strings.Contains(err.Error(), "nothing was pushed") {
		t.Errorf("push without a server: %v", err)
	}
}

func TestOpenSaysWhatToDoAboutAWrongAddressOrPassword(t *testing.T) {
	f := newFixture(t, "--requirepass", "")
	f.raw.ConfigSet(t.Context(), "requirepass", "secret")
	for url, want := range map[string]string{
		"redis://127.0.0.1:1":                  "is it running",
		f.server.Admin:                         "wants a password",
		"redis://:bad@" + f.server.Addr + "/0": "refuses the user or password",
		"redis://x y":                          "is not understood",
	} {
		_, err := queue.Open(t.Context(), queue.Config{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "bad") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}

func TestAConnectionThatTheServerHasClosedIsNotUsed(t *testing.T) {
	s := redistest.Start(t)
	c := queue.NewClient(s.Store())
	for range 3 {
		if _, err := c.Push(t.Context(), "Job", nil, queue.Options{}); err != nil {
			t.Fatal(err)
		}
		s.Kill()
		s.Restart()
	}
}
