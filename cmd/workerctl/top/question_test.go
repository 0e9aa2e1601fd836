package top

import (
	"errors"
	"strings"
	"testing"
)

func TestActs(t *testing.T) {
	t.Run("ask what and how many, and do nothing without y", func(t *testing.T) {
		for _, no := range []string{"esc", "n", "enter", "q", "d"} {
			d := drive(t, busyFleet())
			d.press("4", "/")
			d.types("host:host-1.example.jp")
			d.press("enter", "D")
			d.shows("Delete 10 jobs of retries with host:host-1.example.jp? y/N")
			d.press(no)
			d.shows("nothing was done")
			if len(d.fleet.applied) != 0 {
				t.Errorf("%s: %v", no, d.fleet.applied)
			}
		}
	})
	t.Run("are done after y, about the jobs of the filter at that moment", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4", "/")
		d.types("host:host-1.example.jp")
		d.press("enter", "R", "y")
		r := d.fleet.applied[0]
		if r.Verb != Retry || r.Set != Retries || r.Filter != "host:host-1.example.jp" ||
			!r.AsOf.Equal(noon) || r.Count != 10 || len(r.Jobs) != 0 {
			t.Errorf("%+v", r)
		}
		d.shows("done: retry: it is done")
	})
	t.Run("of small letters are about the cursor, or about the marks", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4", "j", "x")
		d.shows("Kill the job 000000000000000000000001 of retries? y/N")
		d.press("y", "space", "space", "d")
		d.shows("Delete 2 jobs of retries? y/N")
		d.press("y")
		if len(d.fleet.applied) != 2 {
			t.Fatalf("%v", d.fleet.applied)
		}
		got := strings.Join(d.fleet.applied[1].JIDs(), " ")
		if got != "000000000000000000000001 000000000000000000000002" {
			t.Errorf("%q", got)
		}
		d.hides("marked")
	})
	t.Run("of queues and processes name them", func(t *testing.T) {
		d := drive(t, busyFleet())
		for keys, want := range map[string]string{"2 p": "Pause the queue default? y/N",
			"2 j p": "Unpause the queue mailers? y/N", "8 Q": "Quiet the process web0:4711:5f0c9a?",
			"8 space space S": "Stop 2 processes? y/N", "7 enter r": "Release the job bb of held",
			"4 enter d":     "Delete the job 000000000000000000000000 of retries?",
			"4 D":           "Delete all 40 jobs of retries? y/N",
			"7 enter D":     "Delete 1 job of held NewWorker?",
			"2 j j enter d": "Delete the job cc of queue pull? y/N"} {
			d.press(strings.Fields(keys)...)
			d.shows(want)
			d.press("n")
		}
	})
	t.Run("are refused with --read-only", func(t *testing.T) {
		d := drive(t, busyFleet(), func(o *Options) { o.ReadOnly = true })
		for _, keys := range []string{"4 r", "4 D", "2 p", "8 S"} {
			d.press(strings.Fields(keys)...)
			d.shows("nothing is changed with --read-only")
			d.press("y")
		}
		if len(d.fleet.applied) != 0 {
			t.Errorf("%v", d.fleet.applied)
		}
	})
	t.Run("that fail say why", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.fleet.applyErr = errors.New("the key is\nno list")
		d.press("4", "r", "y")
		d.shows("! retry: the key is no list")
	})
	t.Run("are one at a time, and q waits for them once", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4", "r")
		cmd := d.onKey(key("y"))
		d.shows("under way")
		d.press("d")
		d.shows("retry is still under way")
		if quit := d.onKey(key("q")); quit != nil {
			t.Error("q has stopped it")
		}
		d.shows("the program ends after it")
		if quit := d.onKey(key("q")); quit == nil {
			t.Error("a second q has not stopped it")
		}
		cmd()
	})
	t.Run("of a filter are not asked before the jobs are counted", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4")
		count := d.onKey(key("D"))
		d.shows("counting the jobs")
		d.press("y")
		d.shows("counting the jobs")
		d.press("n")
		d.run(count)
		d.hides("y/N")
		if len(d.fleet.applied) != 0 {
			t.Errorf("%v", d.fleet.applied)
		}
	})
	t.Run("read the page anew", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4", "r")
		d.fleet.asked = nil
		d.press("y")
		if got := strings.Join(d.fleet.asked, " "); got != "page retries 0" {
			t.Errorf("%q", got)
		}
	})
	t.Run("about nothing are not asked", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.fleet.sets[Retries] = nil
		d.press("4", "d")
		d.shows("there is nothing at the cursor")
		d.press("D")
		d.shows("there are no such jobs")
	})
}
