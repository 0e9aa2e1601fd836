package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// newKase is a case outside of the table.
func newKase(t *testing.T) *kase {
	s := harness.New(t)
	return &kase{Site: s, t: t, ruby: s.Ruby(), v: 6}
}

func TestBothKindsOfProcessAreShownQuietedAndStoppedByEither(t *testing.T) {
	for _, by := range []string{"the web page", "workerctl"} {
		t.Run(by, func(t *testing.T) {
			k := newKase(t)
			page := by == "the web page"
			goes, ruby := k.worker("-g", "go", "-c", "3"),
				k.Sidekiq("-g", "ruby", "-c", "4", "-q", "default")
			ids := map[string]string{}
			k.Until(15*time.Second, "both are shown", func() bool {
				for _, p := range k.processes() {
					ids[p.Tag] = p.Identity
				}
				return len(ids) == 2
			})
			if page {
				body := k.ruby.Get("/busy").Body
				if !strings.Contains(body, ids["go"]) || !strings.Contains(body, ids["ruby"]) {
					t.Error("the page does not show both")
				}
			} else {
				out := k.OK(ids["go"], "processes")
				if !strings.Contains(out, ids["ruby"]) {
					t.Errorf("workerctl does not show both:\n%s", out)
				}
			}
			for tag, p := range map[string]*harness.Process{"go": goes, "ruby": ruby} {
				for _, verb := range []string{"quiet", "stop"} {
					if page {
						k.ruby.Post("/busy", map[string]any{"identity": ids[tag], verb: "1"})
					} else {
						k.OK("→", verb, ids[tag])
					}
					if verb == "quiet" {
						k.Until(15*time.Second, tag+" is quiet", func() bool {
							for _, seen := range k.processes() {
								if seen.Tag == tag {
									return seen.Quiet
								}
							}
							return false
						})
					}
				}
				k.equal(tag+" exits with", p.Exit(30*time.Second), 0)
			}
			k.equal("processes left", len(k.processes()), 0)
		})
	}
}

// The worked example of docs/sidekiq.md, stage by stage.
func TestATeamMovesOneClassAtATimeAndGoesBack(t *testing.T) {
	k := newKase(t)
	who := map[string]string{}
	stage := func(name, record, rubyOnly string) {
		t.Helper()
		before := len(k.Records("run"))
		k.ruby.Do(nil, `Test::Record.perform_async(1); Test::RubyOnly.perform_async(2)`)
		for _, r := range k.ran("run", before+2)[before:] {
			who[string(r.Args)] = r.By
		}
		k.equal(name, fmt.Sprint(who["[1]"], " ", who["[2]"]), record+" "+rubyOnly)
		k.Settled(10 * time.Second)
	}
	ruby := k.Sidekiq("-q", "default", "-c", "2")
	stage("Ruby alone", "ruby", "ruby")

	ruby.Stop()
	ruby = k.Sidekiq("-q", "ruby", "-c", "2")
	goes := k.worker("-q", "default", "--unknown", "forward:ruby")
	stage("one class in Go", "go", "ruby")
	k.equal("retries", k.Card("retry")+k.Card("dead"), 0)

	goes.Stop()
	ruby.Stop()
	k.Sidekiq("-q", "default", "-q", "ruby", "-c", "2")
	stage("back", "ruby", "ruby")
}

func TestAnIterableJobSurvivesAKill(t *testing.T) {
	k := newKase(t)
	w := k.worker("-c", "1")
	jid := k.Push("Test::Iter", []any{120, 60}, queue.Options{})
	k.Until(20*time.Second, "its place is written down", func() bool {
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
	k.equal("steps", len(steps), 120)
	k.equal("resumed", len(k.Records("resume")), 1)
	if again > 10 { // at most what lies between two writes and the kill
		t.Errorf("%d steps were done again, though the place was written down right before the "+
			"kill", again)
	}
}

func TestAProfiledJobRunsAndProfilesAreLeftAlone(t *testing.T) {
	k := newKase(t)
	k.v = 8
	k.enqueue(k.golden("profiled.json"))
	k.worker()
	k.ran("run", 1)
	k.Settled(10 * time.Second)
	k.equal("profiles", k.Raw.Exists(k.Context(), "profiles",
		"tok1-8a000000000000000000000d").Val(), 0)
}
