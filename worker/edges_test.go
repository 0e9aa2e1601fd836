package worker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// TestDecideForRuby holds that no job on which a Ruby process or page fails gets into the retry or
// the schedule set. Each payload was tried on the pages of Sidekiq 6.4.1, 7.3.2 and 8.1.7.
func TestDecideForRuby(t *testing.T) {
	boom, p := errors.New("boom"), testPolicy()
	for name, fields := range map[string]string{
		"a lone surrogate":             `"args":["cut \ud83d"]`,
		"a low surrogate":              `"args":["\ude00"]`,
		"a surrogate in a field":       `"args":[],"note":"\ud83d"`,
		"a key twice in an argument":   `"args":[{"a":1,"a":2}]`,
		"a key twice in the job":       `"args":[],"note":1,"note":2`,
		"invalid UTF-8":                `"args":["` + "\xff" + `"]`,
		"more than 100 levels":         `"args":[` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `]`,
		"tags that are a text":         `"args":[],"tags":"x"`,
		"tags that are a number":       `"args":[],"tags":5`,
		"tags and a lone surrogate":    `"args":["\ud83d"],"tags":true`,
		"dead: false, and a surrogate": `"args":["\ud83d"],"dead":false`,
	} {
		t.Run(name, func(t *testing.T) {
			j := parse(t, `{"class":"A","jid":"j",`+fields+`}`)
			for _, err := range []error{boom, queue.Snooze(time.Hour), queue.RetryIn(time.Hour, boom)} {
				d := p.decide(j, "q", err, false, now)
				if d.settle.Action != queue.Dead {
					t.Errorf("after %v: %s, want dead", err, d.settle.Action)
				}
				if again := envelope.Original(d.settle.Payload); !strings.Contains(again, fields) {
					t.Errorf("the bytes are not kept: %s", d.settle.Payload)
				}
				if d.settle.Payload != envelope.ForDeadSet(d.settle.Payload) {
					t.Errorf("the Dead page fails on %s", d.settle.Payload)
				}
			}
			if d := p.decide(j, "q", nil, false, now); d.settle.Action != queue.Done {
				t.Errorf("a run that ends well: %s, want done", d.settle.Action)
			}
		})
	}
	t.Run("a job that Ruby reads is tried again", func(t *testing.T) {
		j := parse(t, `{"class":"A","args":["\ud83d\ude00",{"a":1}],"tags":["x"]}`)
		if d := p.decide(j, "q", boom, false, now); d.settle.Action != queue.Retry {
			t.Errorf("%s", d.settle.Action)
		}
	})
	t.Run("JSON that is no job goes to the dead set in a form that the page shows",
		func(t *testing.T) {
			for _, raw := range []string{"null", "[1,2]", "5", "true", `"x"`, `{"tags":1}`} {
				d := decideBytes(raw, now)
				if !strings.HasPrefix(d.settle.Payload, "not a job: ") ||
					envelope.Original(d.settle.Payload) != raw {
					t.Errorf("%s is stored as %s", raw, d.settle.Payload)
				}
			}
		})
}

func TestRetryFor(t *testing.T) {
	for field, want := range map[string]queue.Action{`0`: queue.Dead, `-1`: queue.Dead,
		`-1e300`: queue.Dead, `-0.0`: queue.Dead, `1`: queue.Retry, `0.5`: queue.Retry,
		`1e300`: queue.Retry, `99999999999999999999`: queue.Retry} {
		j := parse(t, `{"class":"A","args":[],"retry_for":`+field+`}`)
		if d := testPolicy().decide(j, "q", errors.New("x"), false, now); d.settle.Action != want {
			t.Errorf("retry_for %s at the first failure: %s, want %s", field, d.settle.Action, want)
		}
	}
}

func TestExpiresIn(t *testing.T) {
	for fields, want := range map[string]bool{
		// scheduled two hours ahead with an expiry of one: it was due at enqueued_at
		`"expires_in":3600,"created_at":1795338620,"enqueued_at":1795345820`: false,
		// a late retry is in its queue from when it is tried again
		`"expires_in":60,"created_at":1795300000,"enqueued_at":1795345800,"retry_count":3`: false,
		`"expires_in":10,"created_at":1795345000,"enqueued_at":1795345800`:                 true,
		`"expires_in":10000000000,"created_at":1795345820`:                                 false,
		`"expires_in":10000000000000,"created_at":1795345820`:                              false,
		`"expires_in":1e30,"enqueued_at":1795345820`:                                       false,
		`"expires_in":0,"enqueued_at":1795345800`:                                          true,
		// Sidekiq Pro's client writes the absolute time
		`"expiry":1795345819.5`:                                 true,
		`"expiry":1795345821.5`:                                 false,
		`"expiry":1795345821.5,"expires_in":1,"created_at":1.5`: false,
		`"expiry":1795345819000`:                                true,
		`"expires_at":1795345821.5,"expiry":1.5`:                false,
	} {
		if got := expired(parse(t, `{"class":"A",`+fields+`}`), now); got != want {
			t.Errorf("%s: expired is %t, want %t", fields, got, want)
		}
	}
}
