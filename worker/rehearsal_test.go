package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// fuzzMux has a class for each way in which a run can end.
func fuzzMux() *Mux {
	m := NewMux()
	for class, err := range map[string]error{"Done": nil, "Fails": errBoom,
		"Snoozes": queue.Snooze(time.Hour), "Later": queue.RetryIn(time.Minute, errBoom),
		"Killed": queue.Kill(errBoom), "Dropped": queue.Discard(errBoom),
		"Hurt": errors.New("\xff\x00")} {
		m.HandleJob(class, func(context.Context, *queue.Job) error { return err })
	}
	m.HandleJob("Panics", func(context.Context, *queue.Job) error { panic("as jobs do") })
	Handle(m, "Typed", func(context.Context, struct {
		ID   int64
		Name string
	}) error {
		return nil
	})
	return m
}

// FuzzRun takes bytes on the whole way of a job, from the payload to the outcome. Each outcome
// keeps the job: another attempt has its class, arguments and id, can be read by Ruby, and is due
// at a time that Redis can store; the dead set gets bytes that its page can show.
func FuzzRun(f *testing.F) {
	m := fuzzMux()
	for _, class := range []string{"Done", "Fails", "Snoozes", "Later", "Killed", "Dropped", "Hurt",
		"Panics", "Typed", "Unknown"} {
		f.Add(`{"class":"` + class + `","args":[1,"x"],"jid":"b","queue":"q","retry":true,` +
			`"created_at":1795345820.5,"enqueued_at":1795345820974,"retry_count":3}`)
	}
	for _, raw := range []string{"null", "[1,2]", "5", "", "{",
		`{"class":"Fails","args":["\ud83d"]}`,
		`{"class":"Fails","args":[{"a":1,"a":2}]}`, `{"class":"Later","args":[1],"tags":5}`,
		`{"class":"Sidekiq::ActiveJob::Wrapper","wrapped":"Fails","args":[{"arguments":[1]}]}`} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		out, err := m.Rehearse(t.Context(), raw, now)
		if err != nil {
			d := decideBytes(raw, now)
			if dead := d.settle.Payload; envelope.Original(dead) != raw ||
				envelope.ForDeadSet(dead) != dead {
				t.Errorf("%q became %q", raw, dead)
			}
			return
		}
		switch out.Outcome {
		case OutcomeRetry, OutcomeSnoozed:
			keepsJob(t, raw, &out)
		case OutcomeDead:
			if envelope.ForDeadSet(out.Payload) != out.Payload {
				t.Errorf("the Dead page fails on %q", out.Payload)
			}
		}
	})
}

// keepsJob checks the payload and the time of another attempt.
func keepsJob(t *testing.T, raw string, out *Rehearsal) {
	t.Helper()
	if wait := out.At.Sub(now); wait < 0 || wait > maxDelay {
		t.Errorf("%q is due in %v", raw, wait)
	}
	before, err := envelope.ParseJob(raw)
	if err != nil {
		t.Fatal(err)
	}
	after, err := envelope.ParseJob(out.Payload)
	if err != nil || after.RubyRefuses() != nil {
		t.Fatalf("%q became %q", raw, out.Payload)
	}
	if after.Class != before.Class || after.JID != before.JID ||
		string(after.Args) != string(before.Args) {
		t.Errorf("%q became another job: %q", raw, out.Payload)
	}
}
