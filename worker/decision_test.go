package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// now is the time of the decisions in these tests.
var now = time.Unix(1795345820, 500_000_000)

// testPolicy has no jitter, and writes times as floats.
func testPolicy() *policy {
	store := new(queue.Store)
	return &policy{maxRetries: 25, failure: store.Failed, again: store.Enqueued,
		jitter: func(int) int { return 0 }, log: slog.New(slog.DiscardHandler)}
}

// realPolicy has the jitter of a worker.
func realPolicy() *policy {
	p := testPolicy()
	p.jitter = jitter
	return p
}

// after decides about a job with these fields after a run that ended with err.
func (p *policy) after(t *testing.T, err error, fields string) decision {
	t.Helper()
	return p.decide(parse(t, `{"class":"A","args":[],`+fields+`}`), "q", err, false, now)
}

func TestDecide(t *testing.T) {
	t.Parallel()
	t.Run("retries after Sidekiq's waits", retriesInTime)
	t.Run("settles jobs that do not come again", settlesForGood)
	t.Run("puts an interrupted job back, unless it is done", func(t *testing.T) {
		j := parse(t, `{"class":"A","args":[],"retry":0}`)
		for err, want := range map[error]queue.Action{errBoom: queue.Requeue, nil: queue.Done} {
			if d := testPolicy().decide(j, "q", err, true, now); d.settle.Action != want || d.died {
				t.Errorf("after %v: %s, died %v, want %s", err, d.settle.Action, d.died, want)
			}
		}
	})
	t.Run("writes a failure into the payload, and changes nothing else", writesFailure)
	t.Run("follows the class where the job says nothing", followsClass)
	t.Run("is one event for capabilities and one word for the observer", eventsAndOutcomes)
	t.Run("is right for numbers of any size", anyNumbers)
	t.Run("allows no retry with a retry_for of zero or less", func(t *testing.T) {
		for field, want := range map[string]queue.Action{`0`: queue.Dead, `-1`: queue.Dead,
			`-1e300`: queue.Dead, `-0.0`: queue.Dead, `1`: queue.Retry, `0.5`: queue.Retry,
			`1e300`: queue.Retry, `99999999999999999999`: queue.Retry} {
			if d := testPolicy().after(t, errBoom, `"retry_for":`+field); d.settle.Action != want {
				t.Errorf("retry_for %s: %s, want %s", field, d.settle.Action, want)
			}
		}
	})
	t.Run("survives a RetryDelay and an ErrorClass that panic", func(t *testing.T) {
		p := testPolicy()
		p.RetryDelay = func(int, error) time.Duration { panic("no") }
		d := p.after(t, panickyClass{errBoom}, `"retry":true`)
		if d.settle.Action != queue.Retry || d.settle.At.Sub(now) != 15*time.Second {
			t.Errorf("%s in %v, want a retry in 15s", d.settle.Action, d.settle.At.Sub(now))
		}
		if class := parse(t, d.settle.Payload).String("error_class"); class != "error" {
			t.Errorf("error_class %q, want error", class)
		}
	})
	t.Run("adds jitter that grows with the count", func(t *testing.T) {
		p := testPolicy()
		p.jitter = func(n int) int { return n - 1 }
		for count, want := range map[int]time.Duration{0: 15 + 9, 1: 16 + 19, 4: 271 + 49} {
			if got := p.delay(count, nil, nil); got != want*time.Second {
				t.Errorf("count %d: %v, want %v", count, got, want*time.Second)
			}
		}
	})
}

type panickyClass struct{ error }

func (panickyClass) ErrorClass() string { panic("no") }

func retriesInTime(t *testing.T) {
	inAMinute := queue.RetryIn(time.Minute, errBoom)
	for name, c := range map[string]struct {
		fields string
		err    error
		in     time.Duration
	}{
		"first failure":    {`"retry":true`, errBoom, 15 * time.Second},
		"second failure":   {`"retry":true,"retry_count":0`, errBoom, 16 * time.Second},
		"25th failure":     {`"retry":true,"retry_count":23`, errBoom, 331791 * time.Second},
		"after by hand":    {`"retry":true,"retry_count":-1`, errBoom, 15 * time.Second},
		"retry a string":   {`"retry":"3"`, errBoom, 15 * time.Second},
		"retry a float":    {`"retry":2.5`, errBoom, 15 * time.Second},
		"retry absent":     {`"x":1`, errBoom, 15 * time.Second},
		"retry in":         {`"retry":true`, inAMinute, time.Minute},
		"wrapped retry in": {`"retry":true`, fmt.Errorf("x: %w", inAMinute), time.Minute},
		"retry_for open": {`"retry_for":600,"retry_count":99,"failed_at":1795345720000`, errBoom,
			100000015 * time.Second},
	} {
		d := testPolicy().after(t, c.err, c.fields)
		if d.settle.Action != queue.Retry || d.died {
			t.Errorf("%s: %s, died %v, want a retry", name, d.settle.Action, d.died)
		}
		if in := d.settle.At.Sub(now); in != c.in {
			t.Errorf("%s: due in %v, want %v", name, in, c.in)
		}
	}
}

func settlesForGood(t *testing.T) {
	late := fmt.Errorf("%w of 1s", ErrDeadline)
	for name, c := range map[string]struct {
		fields string
		err    error
		want   queue.Action
		died   bool
	}{
		"success":          {`"retry":true`, nil, queue.Done, false},
		"exhausted":        {`"retry":true,"retry_count":24`, errBoom, queue.Dead, true},
		"third retry of 3": {`"retry":3,"retry_count":2`, errBoom, queue.Dead, true},
		"retry 0":          {`"retry":0`, errBoom, queue.Dead, true},
		"retry negative":   {`"retry":-1`, errBoom, queue.Dead, true},
		"retry false":      {`"retry":false`, errBoom, queue.Done, true},
		"dead false":       {`"retry":0,"dead":false`, errBoom, queue.Done, true},
		"retry_for over": {`"retry_for":60,"failed_at":1795345720000`, errBoom, queue.Dead,
			true},
		"discard":             {`"retry":true`, queue.Discard(errBoom), queue.Done, true},
		"kill":                {`"retry":true`, queue.Kill(errBoom), queue.Dead, true},
		"retry in, exhausted": {`"retry":0`, queue.RetryIn(time.Minute, errBoom), queue.Dead, true},
		"snooze":              {`"retry":0`, queue.Snooze(time.Minute), queue.Schedule, false},
		"past its deadline":   {`"retry":true`, late, queue.Dead, true},
	} {
		d := testPolicy().after(t, c.err, c.fields)
		if d.settle.Action != c.want || d.died != c.died {
			t.Errorf("%s: %s, died %v, want %s, %v", name, d.settle.Action, d.died, c.want, c.died)
		}
	}
}

func writesFailure(t *testing.T) {
	raw := `{"class":"A","args":[1.0,12345678901234567890],"foo":{"b":1.0},"queue":"q",` +
		`"retry_queue":"low","created_at":1795345820974}`
	d := testPolicy().decide(parse(t, raw), "q", errors.New("é<b> \xff"), false, now)
	want := `{"class":"A","args":[1.0,12345678901234567890],"foo":{"b":1.0},"queue":"low",` +
		`"retry_queue":"low","created_at":1795345820974,` +
		`"retry_count":0,"failed_at":1795345820.5,"retry":true,"error_message":"é<b> ` + "\ufffd" +
		`","error_class":"error"}`
	if d.settle.Payload != want {
		t.Errorf("payload\n%s\nwant\n%s", d.settle.Payload, want)
	}
	again := testPolicy().decide(parse(t, d.settle.Payload), "low", errors.New("b"), false,
		now.Add(time.Second))
	j := parse(t, again.settle.Payload)
	for field, want := range map[string]string{"retry_count": "1", "failed_at": "1795345820.5",
		"retried_at": "1795345821.5", "error_message": `"b"`} {
		if got := j.Field(field); got != want {
			t.Errorf("after the second failure %s is %s, want %s", field, got, want)
		}
	}
}

func followsClass(t *testing.T) {
	p := testPolicy()
	check := func(fields string, want queue.Action) decision {
		t.Helper()
		d := p.after(t, errBoom, fields)
		if d.settle.Action != want {
			t.Errorf("%s: %s, want %s", fields, d.settle.Action, want)
		}
		return d
	}
	p.Retry = queue.RetryMax(2)
	check(`"retry":true,"retry_count":1`, queue.Dead) // true means the number of the class
	p.NoDead = true
	for field, want := range map[string]queue.Action{`"x":1`: queue.Done, `"dead":null`: queue.Done,
		`"dead":false`: queue.Done, `"dead":true`: queue.Dead} {
		if d := check(`"retry":0,`+field, want); !d.died {
			t.Errorf("%s: it did not die", field)
		}
	}
	p.RetryDelay = func(count int, err error) time.Duration {
		return time.Duration(count+1) * time.Hour
	}
	d := check(`"x":1`, queue.Retry)
	if in := d.settle.At.Sub(now); in != time.Hour {
		t.Errorf("due in %v, want the hour of the class", in)
	}
	if retry := parse(t, d.settle.Payload).Field("retry"); retry != "2" {
		t.Errorf("retry is %s, want the number of the class, 2", retry)
	}
	p.Retry = queue.NeverRetry
	check(`"retry":null`, queue.Done)
	check(`"retry":1`, queue.Retry) // the job takes precedence
}

func eventsAndOutcomes(t *testing.T) {
	j, p := parse(t, `{"class":"A","args":[],"retry":1}`), testPolicy()
	after := func(err error, fields string) decision { return p.after(t, err, fields) }
	discard := queue.Discard(errBoom)
	held, _ := HoldUnknown().decide(j, "q", "A", now)
	forwarded, _ := ForwardUnknown("other").decide(j, "q", "A", now)
	for _, c := range []struct {
		d      decision
		action queue.Action
		event  queue.EffectEvent
		told   Outcome
	}{
		{after(nil, `"retry":1`), queue.Done, queue.EventDone, OutcomeDone},
		{after(errBoom, `"retry":1`), queue.Retry, queue.EventRetry, OutcomeRetry},
		{after(errBoom, `"retry":0`), queue.Dead, queue.EventDead, OutcomeDead},
		{after(errBoom, `"retry":0,"dead":false`), queue.Done, queue.EventDiscard, OutcomeDropped},
		{after(discard, `"retry":1`), queue.Done, queue.EventDiscard, OutcomeDropped},
		{after(queue.Snooze(1), `"retry":1`), queue.Schedule, queue.EventSnooze, OutcomeSnoozed},
		{p.decide(j, "q", errBoom, true, now), queue.Requeue, queue.EventRequeue, OutcomeRequeued},
		{after(errInterrupted, `"x":1`), queue.Forward, queue.EventForward, OutcomeInterrupted},
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

func anyNumbers(t *testing.T) {
	const age, most = 99 * 365 * 24 * time.Hour, "9223372036854775807"
	const failed, open = `,"failed_at":1795345820.0`, `"retry_for":100000,"retry_count":`
	const retry, dead, schedule = queue.Retry, queue.Dead, queue.Schedule
	for name, c := range map[string]struct {
		fields string
		err    error
		want   queue.Action
		least  time.Duration // until the next attempt
	}{
		"a huge count":             {open + `922337203685477580` + failed, errBoom, retry, age},
		"the largest count":        {open + most + failed, errBoom, retry, age},
		"the least count":          {open + `-9223372036854775808` + failed, errBoom, retry, 15e9},
		"a count too large for n⁴": {open + `309` + failed, errBoom, retry, age},
		"no retry_for":             {`"retry_count":` + most, errBoom, dead, 0},
		"a huge limit": {`"retry":99999999999999999999999,"retry_count":30` + failed, errBoom,
			retry, 923521 * time.Second},
		"a huge retry_for": {`"retry_for":` + most + `,"retry_count":1` + failed, errBoom,
			retry, 31 * time.Second},
		"retry_for as 1e300": {`"retry_for":1e300,"retry_count":26` + failed, errBoom,
			retry, 531456 * time.Second},
		"a negative retry_for": {`"retry_for":-` + most + `,"retry_count":1` + failed, errBoom,
			dead, 0},
		"the longest RetryIn": {`"x":1`, queue.RetryIn(1<<63-1, errBoom), retry, age},
		"the longest snooze":  {`"x":1`, queue.Snooze(1<<63 - 1), schedule, age},
		"a negative snooze":   {`"x":1`, queue.Snooze(-1 << 63), schedule, 0},
		"a huge backtrace":    {`"backtrace":99999999999999999999`, errBoom, retry, 15e9},
	} {
		d := realPolicy().after(t, c.err, c.fields)
		if d.settle.Action != c.want {
			t.Errorf("%s: %s, want %s", name, d.settle.Action, c.want)
			continue
		}
		if in := d.settle.At.Sub(now); in < c.least || in > maxDelay {
			t.Errorf("%s: due in %v, want at least %v", name, in, c.least)
		}
		payload := cmp.Or(d.settle.Payload, `{"class":"A"}`)
		if n, _ := parse(t, payload).RetryCount(); n < 0 && name != "the least count" {
			t.Errorf("%s: counted up to %d", name, n)
		}
	}
}

// expiredCases say by its fields whether a job is too late to run.
var expiredCases = map[string]bool{
	`"created_at":1.5`:                                        false,
	`"expires_at":1795345819.5`:                               true,
	`"expires_at":1795345821.5`:                               false,
	`"expires_at":500000000000000.5`:                          false,
	`"expires_at":99999999999999999999`:                       false,
	`"expires_in":1,"expires_at":1795345821,"created_at":1.5`: false,
	`"expires_at":1795345821.5,"expiry":1.5`:                  false,
	// Sidekiq Pro's client writes the absolute time as expiry.
	`"expiry":1795345819.5`:                                 true,
	`"expiry":1795345821.5`:                                 false,
	`"expiry":1795345819000`:                                true,
	`"expiry":1795345821.5,"expires_in":1,"created_at":1.5`: false,
	// expires_in counts from when the job was put into its queue.
	`"expires_in":1`: false,
	`"expires_in":10,"created_at":1795345800.5`:                        true,
	`"expires_in":30.5,"created_at":1795345800500`:                     false,
	`"expires_in":0,"enqueued_at":1795345800`:                          true,
	`"expires_in":10,"created_at":1795345000,"enqueued_at":1795345800`: true,
	// This job was scheduled two hours ahead with an expiry of one.
	`"expires_in":3600,"created_at":1795338620,"enqueued_at":1795345820`: false,
	// This late retry is in its queue from when it is tried again.
	`"expires_in":60,"created_at":1795300000,"enqueued_at":1795345800,"retry_count":3`: false,
	// Numbers of any size.
	`"expires_in":1e30,"enqueued_at":1795345820`:                  false,
	`"expires_in":1e300,"created_at":1795345800.5`:                false,
	`"expires_in":10000000000,"created_at":1795345820`:            false,
	`"expires_in":10000000000000,"created_at":1795345820`:         false,
	`"expires_in":9223372036854775807,"created_at":1795345800.5`:  false,
	`"expires_in":-9223372036854775807,"created_at":1795345800.5`: true,
}

func TestExpired(t *testing.T) {
	t.Parallel()
	t.Run("is read from the fields of Kyu's and of Sidekiq Pro's client", func(t *testing.T) {
		for fields, want := range expiredCases {
			if got := expired(parse(t, `{"class":"A",`+fields+`}`), now); got != want {
				t.Errorf("%s: expired is %v", fields, got)
			}
		}
	})
}

// FuzzDecide checks that a decision about any payload does not panic, and that the next attempt is
// at a time that Redis can store, and not before now.
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
		for _, err := range []error{errBoom, queue.RetryIn(time.Duration(in), errBoom),
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
