package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestClientPush(t *testing.T) {
	f := newFixture(t)
	jid, err := f.client.Push(t.Context(), "My::Job", []any{1, 1.0, "é<b>&\u2028", nil,
		map[string]any{"k": []bool{true}}}, queue.Options{
		Queue: "a", Retry: queue.RetryMax(3), RetryFor: time.Hour, RetryQueue: "b", NoDead: true,
		Backtrace: 5, Tags: []string{"x"}, Extra: map[string]any{"locale": "ja"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("writes the bytes that Ruby would write", func(t *testing.T) {
		raw := f.raw.LIndex(t.Context(), "queue:a", 0).Val()
		want := `^\{"retry":3,"queue":"a","class":"My::Job","args":\[1,1\.0,"é<b>&` + "\u2028" +
			`",null,\{"k":\[true\]\}\],"jid":"` + jid +
			`","created_at":\d+\.\d+,"retry_for":3600,"retry_queue":"b","dead":false,` +
			`"backtrace":5,"tags":\["x"\],"locale":"ja","enqueued_at":\d+\.\d+\}$`
		if !regexp.MustCompile(want).MatchString(raw) {
			t.Errorf("payload %s\nwant    %s", raw, want)
		}
	})
	t.Run("makes a JID of 24 hex digits", func(t *testing.T) {
		if !regexp.MustCompile(`^[0-9a-f]{24}$`).MatchString(jid) {
			t.Errorf("jid %q", jid)
		}
	})
	t.Run("adds the queue to the set of queues", func(t *testing.T) {
		if !f.raw.SIsMember(t.Context(), "queues", "a").Val() {
			t.Error("it is not there")
		}
	})
}

// refused checks that a push is refused with the name of a field, and that nothing is pushed.
func (f *fixture) refused(class string, args []any, o queue.Options, field string) {
	f.Helper()
	_, err := f.client.Push(f.Context(), class, args, o)
	var invalid *queue.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != field {
		f.Errorf("%v, want it to name %s", err, field)
	}
	f.at("")
}

func TestClientPushRefuses(t *testing.T) {
	f := newFixture(t)
	long := strings.Repeat("x", 129)
	for name, class := range map[string]string{"a class with a space": "A B",
		"an empty class": ""} {
		t.Run(name, func(t *testing.T) { f.in(t).refused(class, nil, queue.Options{}, "class") })
	}
	for name, c := range map[string]struct {
		field string
		o     queue.Options
	}{
		"a queue with a slash":       {"queue", queue.Options{Queue: "a/b"}},
		"a queue of 129 bytes":       {"queue", queue.Options{Queue: long}},
		"a retry queue beyond ASCII": {"retry_queue", queue.Options{RetryQueue: "é"}},
		"a RetryFor of 63 years":     {"retry_for", queue.Options{RetryFor: 2e9 * time.Second}},
		"an extra field jid":         {"extra", queue.Options{Extra: map[string]any{"jid": 1}}},
	} {
		t.Run(name, func(t *testing.T) { f.in(t).refused("A", nil, c.o, c.field) })
	}
	var deep any = 1
	for range 99 {
		deep = []any{deep}
	}
	type badKey struct{ X float64 }
	for name, arg := range map[string]any{
		"NaN":                     math.NaN(),
		"an infinity in a struct": badKey{math.Inf(1)},
		"invalid UTF-8":           "\xff",
		"JSON 101 levels deep":    deep,
		"a channel":               make(chan int),
		"raw JSON that is broken": json.RawMessage("{"),
		"the number 1e400":        json.RawMessage("1e400"),
	} {
		t.Run(name, func(t *testing.T) {
			f.in(t).refused("A", []any{arg}, queue.Options{}, "args")
		})
	}
	t.Run("a payload over the limit", func(t *testing.T) {
		var large *queue.TooLargeError
		args := []any{strings.Repeat("x", 1<<20)}
		_, err := f.client.Push(t.Context(), "A", args, queue.Options{})
		if !errors.As(err, &large) || large.Limit != 1<<20 {
			t.Error(err)
		}
		f.in(t).at("")
	})
}

func TestPushAt(t *testing.T) {
	f := newFixture(t)
	due := time.Now().Add(time.Hour)
	if _, err := f.client.PushAt(t.Context(), due, "Job", nil, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	f.at("schedule=1")
	z := f.raw.ZRangeWithScores(t.Context(), "schedule", 0, -1).Val()[0]
	t.Run("stores the time as the score, to the microsecond", func(t *testing.T) {
		if math.Abs(z.Score-float64(due.UnixMicro())/1e6) > 1e-6 {
			t.Errorf("%f, want %v", z.Score, due)
		}
	})
	t.Run("writes neither at nor enqueued_at", func(t *testing.T) {
		raw := z.Member.(string)
		if strings.Contains(raw, `"at"`) || strings.Contains(raw, "enqueued_at") {
			t.Error(raw)
		}
	})
	t.Run("does not add the queue to the set of queues", func(t *testing.T) {
		same(t, "the number of sets", f.raw.Exists(t.Context(), "queues").Val(), 0)
	})
	t.Run("pushes to the queue if the time is past", func(t *testing.T) {
		if _, err := f.client.PushIn(t.Context(), -time.Second, "Job", nil,
			queue.Options{Queue: "a"}); err != nil {
			t.Fatal(err)
		}
		f.in(t).at("queue:a=1 schedule=1")
	})
}

func TestPushBulk(t *testing.T) {
	f := newFixture(t)
	args := bulkArgs(2500)
	t.Run("keeps the order over several slices", func(t *testing.T) {
		jids, err := f.client.PushBulk(t.Context(), "Job", args, queue.Options{Queue: "a"})
		if err != nil || len(jids) != 2500 {
			t.Fatal(len(jids), err)
		}
		page, _ := inspect.New(f.store).QueuePage(t.Context(), "a", 0, 2500)
		for i, raw := range page {
			j, _ := envelope.ParseJob(raw)
			if j.JID != jids[i] || !strings.HasPrefix(string(j.Args), fmt.Sprintf("[%d,", i)) {
				t.Fatalf("place %d holds %s", i, raw)
			}
		}
	})
	t.Run("schedules jobs", func(t *testing.T) {
		jids, err := f.client.PushBulk(t.Context(), "Job", args[:150],
			queue.Options{At: time.Now().Add(time.Hour)})
		if err != nil || len(jids) != 150 {
			t.Error(len(jids), err)
		}
		f.in(t).at("queue:a=2500 schedule=150")
	})
	t.Run("refuses one JID for two jobs", func(t *testing.T) {
		_, err := f.client.PushBulk(t.Context(), "Job", args[:2], queue.Options{JID: "x"})
		if !says(err, "jid") {
			t.Error(err)
		}
	})
}

func TestClientMiddleware(t *testing.T) {
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
	t.Run("drops a job when it does not call next", func(t *testing.T) {
		jid, err := c.Push(t.Context(), "Veto", nil, queue.Options{})
		if jid != "" || err != nil {
			t.Errorf("%q %v", jid, err)
		}
		f.in(t).at("")
	})
	t.Run("changes a job, the outermost first", func(t *testing.T) {
		order = nil
		c.Push(t.Context(), "Job", nil, queue.Options{Queue: "a"})
		raw := f.raw.LIndex(t.Context(), "queue:a", 0).Val()
		if !strings.Contains(raw, `"trace":"inner"`) {
			t.Error(raw)
		}
		if !slices.Equal(order, []string{"outer", "inner"}) {
			t.Errorf("order %s", order)
		}
	})
}
