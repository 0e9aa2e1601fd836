package cron

import (
	"flag"
	"strings"
	"testing"
)

var states = flag.Int("states", 60_000, "how many states of each arrangement TestModel visits")

var arrangements = []arrangement{
	{name: "crashes", crashes: 2},
	{name: "lost replies", lost: 2},
	{name: "deploys", deploys: 1, crashes: 1},
	{name: "a version that is taken back", back: true, lost: 1},
	{name: "pauses", pauses: 2, crashes: 1},
	{name: "ruby", rubies: 2, lost: 1, beside: true},
	{name: "clocks", fasts: 1, lost: 1},
	{name: "overlap", lock: true, ends: 1},
	{name: "all", crashes: 1, lost: 1, deploys: 1, pauses: 1, rubies: 1, fasts: 1,
		beside: true},
}

func TestModel(t *testing.T) {
	for _, a := range arrangements {
		t.Run("finds no fault with "+a.name, func(t *testing.T) {
			t.Parallel()
			m := search(&design{}, a, *states)
			if m.fault != "" {
				t.Fatal(m.story())
			}
			t.Logf("%d states, complete: %t", len(m.seen), len(m.todo) == 0)
		})
	}
}

// mutations are designs without a safeguard, and what the search finds then.
var mutations = []struct {
	design
	in, finds string
}{
	{design{name: "claim, then push", twoSteps: true}, "crashes", "nobody pushes"},
	{design{name: "push, then claim", pushFirst: true}, "crashes", "2 times"},
	{design{name: "no check of the last slot", anySlot: true}, "crashes", "2 times"},
	{design{name: "no check of Redis's clock", anyTime: true}, "clocks", "is pushed at"},
	{design{name: "no check of the owner", anyOwner: true}, "deploys", "does not count"},
	{design{name: "no check of the rev", anyRev: true}, "a version that is taken back",
		"another spec"},
	{design{name: "entries written by anybody", anyEnter: true}, "deploys", "writes the entry"},
	{design{name: "the last to ask owns", lastAsker: true}, "deploys", ""},
	{design{name: "an owner that is gone stays", noTakeover: true}, "deploys", "nobody pushes"},
	{design{name: "a start begins the entry anew", resets: true}, "crashes", "nobody pushes"},
	{design{name: "a new entry makes up for the past", backfills: true}, "crashes", "before"},
	{design{name: "no check of the pause", anyPause: true}, "pauses", "of the pause"},
	{design{name: "a pause is made up for", pauseCounts: true}, "pauses", "of the pause"},
	{design{name: "a lost reply counts as pushed", lostIsDone: true}, "lost replies",
		"nobody pushes"},
	{design{name: "later slots before earlier ones", jumps: true}, "crashes", "nobody pushes"},
	{design{name: "Ruby's claims not looked at", anyRuby: true}, "ruby", "2 times"},
	{design{name: "a lock released by any job", anyJob: true}, "overlap", "is not over"},
}

func TestModelSafeguard(t *testing.T) {
	for _, x := range mutations {
		t.Run("is needed: "+x.name, func(t *testing.T) {
			t.Parallel()
			var a arrangement
			for _, a = range arrangements {
				if a.name == x.in {
					break
				}
			}
			m := search(&x.design, a, 200_000)
			if m.fault == "" || !strings.Contains(m.fault, x.finds) {
				t.Fatalf("in %d states: %q, want %q", len(m.seen), m.fault, x.finds)
			}
			t.Logf("%s, after %d states", m.fault, len(m.seen))
		})
	}
}
