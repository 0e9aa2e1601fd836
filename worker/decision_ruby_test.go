package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// TestDecideForRuby holds that no job on which a Ruby process or page fails gets into the retry or
// the schedule set. Each payload was tried on the pages of Sidekiq 6.4.1, 7.3.2 and 8.1.7.
func TestDecideForRuby(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 99) + strings.Repeat("]", 99)
	for name, fields := range map[string]string{
		"a lone surrogate":             `"args":["cut \ud83d"]`,
		"a low surrogate":              `"args":["\ude00"]`,
		"a surrogate in a field":       `"args":[],"note":"\ud83d"`,
		"a key twice in an argument":   `"args":[{"a":1,"a":2}]`,
		"a key twice in the job":       `"args":[],"note":1,"note":2`,
		"invalid UTF-8":                `"args":["` + "\xff" + `"]`,
		"more than 100 levels":         `"args":[` + deep + `]`,
		"tags that are a text":         `"args":[],"tags":"x"`,
		"tags that are a number":       `"args":[],"tags":5`,
		"tags and a lone surrogate":    `"args":["\ud83d"],"tags":true`,
		"dead: false, and a surrogate": `"args":["\ud83d"],"dead":false`,
	} {
		t.Run("keeps a job in the dead set with "+name, func(t *testing.T) {
			diesForRuby(t, fields)
		})
	}
	t.Run("retries a job that Ruby reads", func(t *testing.T) {
		j := parse(t, `{"class":"A","args":["\ud83d\ude00",{"a":1}],"tags":["x"]}`)
		if d := testPolicy().decide(j, "q", errBoom, false, now); d.settle.Action != queue.Retry {
			t.Errorf("%s, want a retry", d.settle.Action)
		}
	})
	t.Run("stores JSON that is not a job in a form that the Dead page shows", func(t *testing.T) {
		for _, raw := range []string{"null", "[1,2]", "5", "true", `"x"`, `{"tags":1}`} {
			stored := decideBytes(raw, now).settle.Payload
			if stored == raw || envelope.Original(stored) != raw {
				t.Errorf("%s is stored as %s", raw, stored)
			}
		}
	})
}

// diesForRuby decides about a job with these fields, on which Ruby fails.
func diesForRuby(t *testing.T, fields string) {
	p, j := testPolicy(), parse(t, `{"class":"A","jid":"j",`+fields+`}`)
	for _, err := range []error{errBoom, queue.Snooze(time.Hour),
		queue.RetryIn(time.Hour, errBoom)} {
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
		t.Errorf("after a run that ends well: %s, want done", d.settle.Action)
	}
}
