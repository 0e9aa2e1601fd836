package worker

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

var now = time.Unix(1795345820, 500_000_000)

// testPolicy has no jitter, and writes times as floats.
func testPolicy() *policy {
	store := new(queue.Store)
	return &policy{maxRetries: 25, failure: store.Failed, again: store.Enqueued,
		jitter: func(int) int { return 0 }, log: slog.New(slog.DiscardHandler)}
}

func parse(t *testing.T, raw string) *queue.Job {
	t.Helper()
	j, err := envelope.ParseJob(raw)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestDecide(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name, fields string
		err          error
		stopping     bool
		want         queue.Action
		in           time.Duration
		died         bool
	}{
		{"success", `"retry":true`, nil, false, queue.Done, 0, false},
		{"first failure", `"retry":true`, boom, false, queue.Retry, 15 * time.Second, false},
		{"second failure", `"retry":true,"retry_count":0,"failed_at":1.5`, boom, false, queue.Retry,
			16 * time.Second, false},
		{"25th failure", `"retry":true,"retry_count":23`, boom, false, queue.Retry,
			331791 * time.Second, false},
		{"exhausted", `"retry":true,"retry_count":24`, boom, false, queue.Dead, 0, true},
		{"after a retry by hand", `"retry":true,"retry_count":-1`, boom, false, queue.Retry,
			15 * time.Second, false},
		{"retry 3, third retry fails", `"retry":3,"retry_count":2`, boom, false,
			queue.Dead, 0, true},
		{"retry 0", `"retry":0`, boom, false, queue.Dead, 0, true},
		{"retry negative", `"retry":-1`, boom, false, queue.Dead, 0, true},
		{"retry false", `"retry":false`, boom, false, queue.Done, 0, true},
		{"retry a string", `"retry":"3"`, boom, false, queue.Retry, 15 * time.Second, false},
		{"retry a float", `"retry":2.5`, boom, false, queue.Retry, 15 * time.Second, false},
		{"retry absent", `"x":1`, boom, false, queue.Retry, 15 * time.Second, false},
		{"dead false", `"retry":0,"dead":false`, boom, false, queue.Done, 0, true},
		{"retry_for open", `"retry_for":600,"retry_count":99,"failed_at":1795345720000`, boom,
			false, queue.Retry, 100000015 * time.Second, false},
		{"retry_for over", `"retry_for":60,"retry_count":5,"failed_at":1795345720000`, boom, false,
			queue.Dead, 0, true},
		{"discard", `"retry":true`, queue.Discard(boom), false, queue.Done, 0, true},
		{"kill", `"retry":true`, queue.Kill(boom), false, queue.Dead, 0, true},
		{"retry in", `"retry":true`, fmt.Errorf("wrapped: %w", queue.RetryIn(time.Minute, boom)),
			false, queue.Retry, time.Minute, false},
		{"retry in, exhausted", `"retry":0`, queue.RetryIn(time.Minute, boom), false,
			queue.Dead, 0, true},
		{"snooze", `"retry":0`, queue.Snooze(time.Minute), false,
			queue.Schedule, time.Minute, false},
		{"stopped", `"retry":0`, boom, true, queue.Requeue, 0, false},
		{"stopped, but done", `"retry":0`, nil, true, queue.Done, 0, false},
		{"past its deadline", `"retry":true`, fmt.Errorf("%w of 1s", ErrDeadline), false,
			queue.Dead, 0, true},
	} {
		j := parse(t, `{"class":"A","args":[],"queue":"q",`+c.fields+`}`)
		out := testPolicy().decide(j, "q", c.err, c.stopping, now)
		if out.settle.Action != c.want || out.died != c.died {
			t.Errorf("%s: %s (died %v), want %s", c.name, out.settle.Action, out.died, c.want)
		}
		if c.in > 0 && out.settle.At.Sub(now) != c.in {
			t.Errorf("%s: due in %v, want %v", c.name, out.settle.At.Sub(now), c.in)
		}
	}
}

func TestAFailureIsWrittenIntoThePayloadAndNothingElseChanges(t *testing.T) {
	raw := `{"class":"A","args":[1.0,12345678901234567890],"foo":{"b":1.0},"queue":"q",` +
		`"retry_queue":"low","created_at":1795345820974}`
	out := testPolicy().decide(parse(t, raw), "q", errors.New("é<b> \xff"), false, now)
	want := `{"class":"A","args":[1.0,12345678901234567890],"foo":{"b":1.0},"queue":"low",` +
		`"retry_queue":"low","created_at":1795345820974,` +
		`"retry_count":0,"failed_at":1795345820.5,"retry":true,"error_message":"é<b> ` + "\ufffd" +
		`","error_class":"error"}`
	if out.settle.Payload != want {
		t.Errorf("payload\n%s\nwant\n%s", out.settle.Payload, want)
	}
	again := testPolicy().decide(parse(t, out.settle.Payload), "low", errors.New("b"), false,
		now.Add(time.Second))
	j := parse(t, again.settle.Payload)
	if n, _ := j.RetryCount(); n != 1 || j.Field("failed_at") != "1795345820.5" ||
		j.Field("retried_at") != "1795345821.5" {
		t.Errorf("second failure: %s", again.settle.Payload)
	}
}

func TestTheClassDecidesWhatTheJobDoesNotSay(t *testing.T) {
	p := testPolicy()
	p.Retry = queue.RetryMax(2)
	if out := p.decide(parse(t, `{"class":"A","args":[],"retry":true,"retry_count":1}`), "q",
		errors.New("x"), false, now); out.settle.Action != queue.Dead {
		t.Errorf("true is not the class's number: %+v", out)
	}
	p.NoDead = true
	for field, want := range map[string]queue.Action{`"x":1`: queue.Done, `"dead":null`: queue.Done,
		`"dead":false`: queue.Done, `"dead":true`: queue.Dead} {
		if out := p.decide(parse(t, `{"class":"A","args":[],"retry":0,`+field+`}`), "q",
			errors.New("x"), false, now); out.settle.Action != want || !out.died {
			t.Errorf("%s: %+v", field, out)
		}
	}
	p.RetryDelay = func(count int, err error) time.Duration {
		return time.Duration(count+1) * time.Hour
	}
	out := p.decide(parse(t, `{"class":"A","args":[]}`), "q", errors.New("x"), false, now)
	if out.settle.At.Sub(now) != time.Hour || !strings.Contains(out.settle.Payload, `"retry":2`) {
		t.Errorf("%v %s", out.settle.At.Sub(now), out.settle.Payload)
	}
	p.Retry = queue.NeverRetry
	if out := p.decide(parse(t, `{"class":"A","args":[],"retry":null}`), "q", errors.New("x"),
		false, now); out.settle.Action != queue.Done {
		t.Errorf("%+v", out)
	}
	if out := p.decide(parse(t, `{"class":"A","args":[],"retry":1}`), "q", errors.New("x"), false,
		now); out.settle.Action != queue.Retry {
		t.Errorf("the job's own word counts first: %+v", out)
	}
}

type panickyClass struct{ error }

func (panickyClass) ErrorClass() string { panic("no") }

func TestAUsersFunctionThatPanicsDoesNotCostTheJob(t *testing.T) {
	p := testPolicy()
	p.RetryDelay = func(int, error) time.Duration { panic("no") }
	out := p.decide(parse(t, `{"class":"A","args":[]}`), "q", panickyClass{io.EOF}, false, now)
	if out.settle.Action != queue.Retry || out.settle.At.Sub(now) != 15*time.Second ||
		!strings.Contains(out.settle.Payload, `"error_class":"error"`) {
		t.Errorf("%+v", out)
	}
}

func TestJitterGrowsWithTheCount(t *testing.T) {
	p := testPolicy()
	p.jitter = func(n int) int { return n - 1 }
	for count, want := range map[int]time.Duration{0: 15 + 9, 1: 16 + 19, 4: 271 + 49} {
		if got := p.delay(count, nil, nil); got != want*time.Second {
			t.Errorf("count %d: %v", count, got)
		}
	}
}

func TestALongErrorMessageIsCutInCharacters(t *testing.T) {
	text := errorMessage(errors.New(strings.Repeat("é", 20_000)))
	if utf8.RuneCountInString(text) != 10_000 || !utf8.ValidString(text) {
		t.Errorf("%d characters", utf8.RuneCountInString(text))
	}
}

type panicky struct{}

func (panicky) Error() string { panic("no") }

func TestAnErrorThatPanicsDoesNotCostTheJob(t *testing.T) {
	if text := errorMessage(panicky{}); !strings.Contains(text, "could not be read") {
		t.Error(text)
	}
}

func TestErrorsAreNamedForTheWebPage(t *testing.T) {
	for want, err := range map[string]error{
		"NameError":                fmt.Errorf("x: %w", &UnknownClassError{Class: "A"}),
		"ArgumentError":            &ArgumentError{Err: io.EOF},
		"panic":                    newPanicError("x"),
		"error":                    fmt.Errorf("a: %w", errors.New("b")),
		"base64.CorruptInputError": fmt.Errorf("a: %w", base64.CorruptInputError(3)),
	} {
		if got := errorClass(err); got != want {
			t.Errorf("%v is named %s, want %s", err, got, want)
		}
	}
}

func TestBacktracesAreWrittenAsEverySidekiqReadsThem(t *testing.T) {
	p := testPolicy()
	out := p.decide(parse(t, `{"class":"A","args":[],"backtrace":2}`), "q",
		newPanicError("x"), false, now)
	packed := parse(t, out.settle.Payload).String("error_backtrace")
	deflated, err := base64.StdEncoding.Strict().DecodeString(packed)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(deflated))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	if err := json.NewDecoder(z).Decode(&lines); err != nil || len(lines) != 2 {
		t.Errorf("%v %v", lines, err)
	}
	for _, field := range []string{"", `,"backtrace":false`} {
		if out := p.decide(parse(t, `{"class":"A","args":[]`+field+`}`), "q", io.EOF, false,
			now); strings.Contains(out.settle.Payload, "error_backtrace") {
			t.Errorf("kept without being asked: %s", out.settle.Payload)
		}
	}
}

func TestExpired(t *testing.T) {
	for fields, want := range map[string]bool{
		`"expires_at":1795345819.5`:                               true,
		`"expires_at":1795345821.5`:                               false,
		`"expires_in":10,"created_at":1795345800.5`:               true,
		`"expires_in":30.5,"created_at":1795345800500`:            false,
		`"expires_in":1`:                                          false,
		`"created_at":1.5`:                                        false,
		`"expires_in":1,"expires_at":1795345821,"created_at":1.5`: false,
	} {
		if got := expired(parse(t, `{"class":"A",`+fields+`}`), now); got != want {
			t.Errorf("%s: %v", fields, got)
		}
	}
}

// realPolicy has the jitter that the runtime has.
func realPolicy() *policy {
	p := testPolicy()
	p.jitter = jitter
	return p
}

func TestDecideNumbersOfAnySize(t *testing.T) {
	boom := errors.New("boom")
	failed := `"failed_at":1795345820.0`
	for _, c := range []struct {
		name, fields string
		err          error
		want         queue.Action
		least        time.Duration
	}{
		{"the count of a program that has gone mad",
			`"retry_for":100000,"retry_count":922337203685477580,` +
				failed, boom, queue.Retry, 99 * 365 * 24 * time.Hour},
		{"the largest count", `"retry_for":100000,"retry_count":9223372036854775807,` + failed,
			boom, queue.Retry, 99 * 365 * 24 * time.Hour},
		{"the least count", `"retry_for":100000,"retry_count":-9223372036854775808,` + failed, boom,
			queue.Retry, 15 * time.Second},
		{"a count whose fourth power has no room", `"retry_for":100000,"retry_count":309,` + failed,
			boom, queue.Retry, 99 * 365 * 24 * time.Hour},
		{"a count beyond all limits, without retry_for", `"retry_count":9223372036854775807`, boom,
			queue.Dead, 0},
		{"a limit of any size", `"retry":99999999999999999999999,"retry_count":30,` + failed, boom,
			queue.Retry, 923521 * time.Second},
		{"retry_for of any size", `"retry_for":9223372036854775807,"retry_count":1,` + failed, boom,
			queue.Retry, 31 * time.Second},
		{"retry_for with an exponent", `"retry_for":1e300,"retry_count":26,` + failed, boom,
			queue.Retry, 531456 * time.Second},
		{"retry_for long before", `"retry_for":-9223372036854775807,"retry_count":1,` + failed,
			boom, queue.Dead, 0},
		{"retry in ages", `"x":1`, queue.RetryIn(1<<63-1, boom), queue.Retry,
			99 * 365 * 24 * time.Hour},
		{"snooze for ages", `"x":1`, queue.Snooze(1<<63 - 1), queue.Schedule,
			99 * 365 * 24 * time.Hour},
		{"snooze backwards", `"x":1`, queue.Snooze(-1 << 63), queue.Schedule, 0},
		{"a backtrace of any size", `"backtrace":99999999999999999999`, boom, queue.Retry,
			15 * time.Second},
	} {
		out := realPolicy().decide(parse(t, `{"class":"A","args":[],`+c.fields+`}`), "q",
			c.err, false, now)
		if out.settle.Action != c.want {
			t.Errorf("%s: %s, want %s", c.name, out.settle.Action, c.want)
			continue
		}
		if in := out.settle.At.Sub(now); in < c.least || in > maxDelay {
			t.Errorf("%s: due in %v, want at least %v", c.name, in, c.least)
		}
		payload := cmp.Or(out.settle.Payload, `{"class":"A"}`)
		if n, ok := parse(t, payload).RetryCount(); ok && n < 0 &&
			!strings.Contains(c.name, "least") {
			t.Errorf("%s: counted up to %d", c.name, n)
		}
	}
	for fields, want := range map[string]bool{
		`"expires_in":1e300,"created_at":1795345800.5`:                false,
		`"expires_in":9223372036854775807,"created_at":1795345800.5`:  false,
		`"expires_in":-9223372036854775807,"created_at":1795345800.5`: true,
		`"expires_at":500000000000000.5`:                              false,
		`"expires_at":99999999999999999999`:                           false,
	} {
		if got := expired(parse(t, `{"class":"A",`+fields+`}`), now); got != want {
			t.Errorf("%s: expired is %v", fields, got)
		}
	}
}

// FuzzDecide: whatever a payload says, deciding does not panic, and a job that is to run
// again does so at a time that Redis can hold, and not before now.
func FuzzDecide(f *testing.F) {
	f.Add(`{"class":"A","args":[],"retry_for":100000,"retry":true,`+
		`"retry_count":922337203685477580,"failed_at":1795345820}`, int64(5))
	f.Add(`{"class":"A","retry":99999999999999999999,"retry_count":-9223372036854775808,`+
		`"expires_in":1e300,"created_at":1.5}`, int64(-1))
	f.Add(`{"class":"A","backtrace":1e5,"dead":false,"failed_at":9e18,"retry_for":-1e-300}`,
		int64(1)<<62)
	f.Fuzz(func(t *testing.T, raw string, in int64) {
		j, err := envelope.ParseJob(raw)
		if err != nil {
			return
		}
		expired(j, now)
		boom := errors.New("boom")
		for _, err := range []error{boom, queue.RetryIn(time.Duration(in), boom),
			queue.Snooze(time.Duration(in)), newPanicError("x"), ErrDeadline, nil} {
			out := realPolicy().decide(j, "q", err, false, now)
			switch out.settle.Action {
			case queue.Retry, queue.Schedule:
				if wait := out.settle.At.Sub(now); wait < 0 || wait > maxDelay {
					t.Errorf("%s: due in %v", raw, wait)
				}
				again, err := envelope.ParseJob(out.settle.Payload)
				if err != nil {
					t.Errorf("%s became %s", raw, out.settle.Payload)
				} else if err := again.RubyRefuses(); err != nil {
					t.Errorf("%s became %s: %v", raw, out.settle.Payload, err)
				}
			case queue.Dead:
				if p := out.settle.Payload; envelope.ForDeadSet(p) != p {
					t.Errorf("the Dead page fails on %s, which %s became", p, raw)
				}
			}
		}
	})
}

// TestDecisions holds that each decision is one event for the capabilities and one word for the
// observer.
func TestDecisions(t *testing.T) {
	j := parse(t, `{"class":"A","args":[],"retry":1}`)
	last := parse(t, `{"class":"A","args":[],"retry":1,"retry_count":0}`)
	dropped := parse(t, `{"class":"A","args":[],"retry":0,"dead":false}`)
	boom, p := errors.New("boom"), testPolicy()
	held, _ := HoldUnknown().decide(j, "q", "A", now)
	forwarded, _ := ForwardUnknown("other").decide(j, "q", "A", now)
	for _, c := range []struct {
		d      decision
		action queue.Action
		event  queue.EffectEvent
		told   Outcome
	}{
		{p.decide(j, "q", nil, false, now), queue.Done, queue.EventDone, OutcomeDone},
		{p.decide(j, "q", boom, false, now), queue.Retry, queue.EventRetry, OutcomeRetry},
		{p.decide(last, "q", boom, false, now), queue.Dead, queue.EventDead, OutcomeDead},
		{p.decide(dropped, "q", boom, false, now), queue.Done, queue.EventDiscard, OutcomeDropped},
		{p.decide(j, "q", queue.Discard(boom), false, now), queue.Done, queue.EventDiscard,
			OutcomeDropped},
		{p.decide(j, "q", queue.Snooze(time.Hour), false, now), queue.Schedule, queue.EventSnooze,
			OutcomeSnoozed},
		{p.decide(j, "q", boom, true, now), queue.Requeue, queue.EventRequeue, OutcomeRequeued},
		{p.decide(j, "q", errInterrupted, false, now), queue.Forward, queue.EventForward,
			OutcomeInterrupted},
		{decidedExpired, queue.Done, queue.EventExpire, OutcomeExpired},
		{decideBytes("no job", now), queue.Dead, queue.EventDead, OutcomeDead},
		{held, queue.Hold, queue.EventHold, OutcomeHeld},
		{forwarded, queue.Forward, queue.EventForward, OutcomeForwarded},
	} {
		if c.d.settle.Action != c.action || c.d.event != c.event || c.d.told != c.told {
			t.Errorf("%s, %s, %s; want %s, %s, %s", c.d.settle.Action, c.d.event, c.d.told,
				c.action, c.event, c.told)
		}
	}
}
