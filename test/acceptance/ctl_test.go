package acceptance

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestTheOperatorsToolShowsAndMovesJobs(t *testing.T) {
	s := harness.New(t)
	jid := strings.TrimSpace(s.OK("", "push", "Test::Fail", `["boom"]`, "--queue", "default"))
	s.OK("", "push", "Test::NoOp", "--in", "1h")
	s.OK("", "push", "Test::NoOp", "--at", "2033-05-18T03:33:20Z", "--jid", "mine")
	s.OK("", "push", "Test::NoOp", "--at", "2033-05-18T03:33:20Z", "--jid", "mine") // not doubled
	s.OK("", "push", "Test::Fail", `["dead"]`, "--retry", "0")
	s.OK("pull", "push", "X", "--queue", "pull", "--jid", "pull1")
	s.OK("2", "queues")
	s.OK(`["boom"]`, "queue", "default")
	s.OK("2033-05-18 03:33:20", "scheduled")
	s.OK("", "queue", "pull", "--pause")
	s.OK("paused", "queues")
	w := s.Worker("-c", "2")
	s.Until(10*time.Second, "failed", func() bool {
		return s.Card("retry") == 1 && s.Card("dead") == 1
	})
	s.OK("error: boom", "retries")
	s.OK("retry_count", "retries", "show", jid)
	s.OK("reschedule "+jid, "retries", "reschedule", jid, "--in", "1h")
	s.OK("error: dead", "dead", "list")
	if s.Raw.LLen(t.Context(), "queue:pull").Val() != 1 {
		t.Error("a paused queue was served")
	}
	s.OK("kill "+jid, "retries", "kill", jid)
	s.OK("delete mine", "scheduled", "delete", "mine")
	if s.Card("dead") != 2 || s.Card("schedule") != 1 {
		t.Errorf("dead %d, scheduled %d", s.Card("dead"), s.Card("schedule"))
	}
	if out, code := s.Ctl("n\n", "dead", "delete", "--all"); code != 1 || s.Card("dead") != 2 {
		t.Errorf("deleted without a yes: %s", out)
	}
	s.OK("delete: 2 jobs", "dead", "delete", "--all", "--yes")
	if out, code := s.Ctl("y\n", "queue", "pull", "--clear"); code != 0 || s.Waiting() != 0 {
		t.Errorf("%d %s", code, out)
	}
	id := w.Identity()
	s.OK(id, "processes")
	s.Push("Test::Sleep", []any{7000}, queue.Options{})
	s.Until(10*time.Second, "shown as busy", func() bool {
		out, _ := s.Ctl("", "busy")
		return strings.Contains(out, "Test::Sleep")
	})
	s.OK("TTIN", "dump", id)
	s.Until(10*time.Second, "stacks in the log",
		func() bool { return w.Says("stacks of all goroutines") && w.Says("goroutine profile") })
	s.OK("TSTP", "quiet", "--all")
	s.Until(10*time.Second, "quiet", func() bool { return w.Says("no longer accepting new work") })
	s.OK("TERM", "stop", id)
	if code := w.Exit(15 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var st struct{ Processed, Failed, Processes int }
	if err := json.Unmarshal([]byte(s.OK("", "stats", "--json", "--days", "2")), &st); err != nil ||
		st.Failed != 2 || st.Processed != 3 || st.Processes != 0 {
		t.Errorf("%+v %v", st, err)
	}
}

func TestTheOperatorsToolRefusesWhatItDoesNotUnderstand(t *testing.T) {
	s := harness.New(t)
	for args, want := range map[string]string{
		"":                         "Usage",
		"frobnicate":               "there is no command",
		"push":                     "want a class",
		"push A {}":                "is not a JSON array",
		"push A [] --in soon":      "want a duration",
		"push A [] --in 1s --at 5": "exclude each other",
		"push A [] --retry maybe":  "want a number",
		"retries explode x":        "want list, show JID, retry",
		"retries retry":            "want JIDs, or --all",
		"retries reschedule x":     "want --in or --at",
		"queue a delete":           "queue NAME delete JID",
		"held A drop x":            "want release or delete",
		"metrics A B":              "one class at most",
		"metrics --since 100h":     "at most 72h",
		"metrics A --since 9h":     "at most 8h",
		"health":                   "health --http ADDRESS",
		"cancel":                   "want jobs",
		"iteration":                "want one job",
		"dead kill x":              "dead already",
		"quiet":                    "want identities",
		"queue a --pause --clear":  "want one of",
		"--nope":                   "unknown flag",
	} {
		if out, code := s.Ctl("", strings.Fields(args)...); code != 2 ||
			!strings.Contains(out, want) {
			t.Errorf("workerctl %s: exit %d, want 2 and %q in\n%s", args, code, want, out)
		}
	}
	for args, want := range map[string]string{"retries retry nobody": "not found",
		"quiet no:1:body": "not found", "iteration nobody": "not found",
		"queue a delete nobody": "not found", "retries show nobody": "not found"} {
		if out, code := s.Ctl("", strings.Fields(args)...); code != 1 ||
			!strings.Contains(out, want) {
			t.Errorf("workerctl %s: exit %d\n%s", args, code, out)
		}
	}
}

func TestStuckHandlersMakeTheWorkerGiveUpWithCodeThree(t *testing.T) {
	s := harness.New(t)
	w := s.Worker("-c", "2", "-t", "1", "--max-stuck", "2")
	s.Push("Test::Hang", nil, queue.Options{})
	s.Push("Test::Hang", nil, queue.Options{})
	if code := w.Exit(20 * time.Second); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if s.Raw.LLen(t.Context(), "queue:default").Val() != 2 {
		t.Error("the jobs are not back in their queue")
	}
}

func TestAProgramOfTenLinesIsAWorker(t *testing.T) {
	s := harness.New(t)
	w := s.Start(filepath.Join(harness.Bin, "hello"))
	s.Push("Greeter", []any{"you", 2}, queue.Options{})
	s.Until(10*time.Second, "it greets", func() bool {
		return strings.Count(w.Log(), "Hello, you") == 2
	})
}

func TestTheWorkerRunsUnderTheACLRuleOfTheDocumentation(t *testing.T) {
	s := harness.New(t)
	s.OK("", "push", "Test::Fail", `["x"]`)
	s.OK("", "push", "Test::Fail", `["x"]`, "--retry", "0", "--queue", "pull")
	s.OK("", "push", "Test::NoOp", "--in", "1h")
	w := s.Worker("-c", "3", "--sidekiq7-metrics", "--unknown", "hold")
	s.Until(10*time.Second, "failed", func() bool {
		return s.Card("retry") == 1 && s.Card("dead") == 1
	})
	s.OK("", "push", "Test::NoOp", "--queue", "push") // through a bell
	s.OK("", "push", "Nobody::Knows")
	s.Until(10*time.Second, "held", func() bool { return s.Card("kyu:hold:Nobody::Knows") == 1 })
	s.OK("Nobody::Knows", "held")
	s.OK("release: 1 jobs", "held", "Nobody::Knows", "release", "--all", "--yes")
	s.OK("", "push", "Test::Iter", `[10000, 20]`, "--jid", "iter")
	s.OK("cancelled iter", "cancel", "iter")
	s.OK("marked: v1", "deploy", "v1")
	s.OK("v1", "deploys")
	s.Until(10*time.Second, "cancelled", func() bool {
		return s.Raw.Exists(t.Context(), "it-iter").Val() == 0
	})
	s.Until(10*time.Second, "measured", func() bool {
		out, _ := s.Ctl("", "metrics")
		return strings.Contains(out, "Test::NoOp")
	})
	s.OK("BELOW", "metrics", "Test::NoOp")
	s.Until(10*time.Second, "done", func() bool {
		return w.Says("queue=push") && s.Waiting() == 0 && s.InFlight() == 0
	})
	s.OK("retry: 1 jobs", "retries", "retry", "--all", "--yes")
	s.OK("kyu", "processes")
	w.Signal(15)
	if code := w.Exit(15 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if w.Says("NOPERM") {
		t.Error("it was refused something")
	}
	if log := s.Raw.Do(t.Context(), "ACL", "LOG").Val(); len(log.([]any)) != 0 {
		t.Errorf("refused: %v", log)
	}
}
