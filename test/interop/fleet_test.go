package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// buttons are a way to show, quiet and stop the processes of a fleet.
type buttons struct {
	show  func() string // a text with the identities
	press func(verb, identity string)
}

func TestMixedFleet(t *testing.T) {
	run := func(says string, f func(*kase)) {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			f(newKase(t))
		})
	}
	run("the web page shows, quiets and stops both kinds of process", testWebPage)
	run("workerctl shows, quiets and stops both kinds of process", testWorkerctl)
	run("a team moves one class at a time and goes back", testMove)
	run("an iterable job survives a kill", testIterableKilled)
	run("the Busy page shows running jobs that Ruby cannot parse", testUnreadableWork)
	run("a profiled job runs, and the profiles do not change", testProfiled)
}

func testWebPage(k *kase) {
	testButtons(k, buttons{
		show: func() string { return k.ruby.Get("/busy").Body },
		press: func(verb, identity string) {
			k.ruby.Post("/busy", map[string]any{"identity": identity, verb: "1"})
		}})
}

func testWorkerctl(k *kase) {
	testButtons(k, buttons{
		show:  func() string { return k.OK("", "processes") },
		press: func(verb, identity string) { k.OK("→", verb, identity) }})
}

func testButtons(k *kase, b buttons) {
	processes := map[string]*harness.Process{"go": k.worker("-g", "go", "-c", "3"),
		"ruby": k.Sidekiq("-g", "ruby", "-c", "4", "-q", "default")}
	ids := map[string]string{}
	k.Until(15*time.Second, "both are registered", func() bool {
		for _, p := range k.processes() {
			ids[p.Tag] = p.Identity
		}
		return len(ids) == 2
	})
	k.Contains("both are shown", b.show(), ids["go"], ids["ruby"])
	for tag, p := range processes {
		b.press("quiet", ids[tag])
		k.Until(30*time.Second, tag+" is quiet", func() bool {
			for _, seen := range k.processes() {
				if seen.Tag == tag {
					return seen.Quiet
				}
			}
			return false
		})
		b.press("stop", ids[tag])
		k.Equal("exit code of "+tag, p.Exit(30*time.Second), 0)
	}
	k.Equal("processes left", len(k.processes()), 0)
}

// testMove takes the steps of the worked example of docs/sidekiq.md.
func testMove(k *kase) {
	by := map[string]string{} // the language that ran a job, by its arguments
	stage := func(name, record, rubyOnly string) {
		k.Helper()
		before := len(k.Records("run"))
		k.ruby.Do(nil, `Test::Record.perform_async(1); Test::RubyOnly.perform_async(2)`)
		for _, r := range k.ran("run", before+2)[before:] {
			by[string(r.Args)] = r.By
		}
		k.Equal(name+": Test::Record", by["[1]"], record)
		k.Equal(name+": Test::RubyOnly", by["[2]"], rubyOnly)
		k.Settled(10 * time.Second)
	}
	ruby := k.Sidekiq("-q", "default", "-c", "2")
	stage("Ruby alone", "ruby", "ruby")

	ruby.Stop()
	ruby = k.Sidekiq("-q", "ruby", "-c", "2")
	goes := k.worker("-q", "default", "--unknown", "forward:ruby")
	stage("one class in Go", "go", "ruby")
	k.Equal("failures", k.Card("retry")+k.Card("dead"), 0)

	goes.Stop()
	ruby.Stop()
	k.Sidekiq("-q", "default", "-q", "ruby", "-c", "2")
	stage("going back", "ruby", "ruby")
}

func testIterableKilled(k *kase) {
	w := k.worker("-c", "1")
	jid := k.Push("Test::Iter", []any{120, 60}, queue.Options{})
	k.Until(20*time.Second, "its cursor is in Redis", func() bool {
		it, _, err := k.Store.Iteration(k.Context(), jid)
		return err == nil && it.Cursor != nil
	})
	w.Kill()
	k.worker("-c", "1")
	k.ran("complete", 1)
	steps := map[string]int{}
	for _, r := range k.Records("") {
		if strings.HasPrefix(r.Event, "step ") {
			steps[r.Event]++
		}
	}
	again := 0
	for _, n := range steps {
		again += n - 1
	}
	k.Equal("steps", len(steps), 120)
	k.Equal("resumed", len(k.Records("resume")), 1)
	// The steps between the last write of the cursor and the kill run again.
	if again > 10 {
		k.Errorf("%d steps ran again, although the cursor was written right before the kill", again)
	}
}

func testUnreadableWork(k *kase) {
	for i := range unreadables {
		k.enqueue(unreadable(i, "default", "Test::Slow", `[60000]`))
	}
	k.worker("-c", "5")
	k.Until(15*time.Second, "the record shows the jobs", func() bool {
		return k.Raw.HGet(k.Context(), k.registered(), "busy").Val() == fmt.Sprint(unreadables)
	})
	var jids []string
	k.ruby.Do(&jids, `work.map { |w| w[:jid] }.sort`)
	k.Equal("running jobs in Ruby", jids, "[strange-0 strange-1 strange-2]")
	k.ruby.Shows("/busy", "strange-0", "strange-1", "strange-2", "Test::Slow")
}

func testProfiled(k *kase) {
	k.v, k.real = 8, false
	k.enqueue(k.golden("profiled.json"))
	k.worker()
	k.ran("run", 1)
	k.Settled(10 * time.Second)
	k.Equal("profiles", k.Raw.Exists(k.Context(), "profiles",
		"tok1-8a000000000000000000000d").Val(), 0)
}
