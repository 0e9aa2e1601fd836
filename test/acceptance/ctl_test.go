package acceptance

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestWorkerctl(t *testing.T) {
	t.Parallel()
	beside(t, "shows and moves jobs", testCtlJobs)
	beside(t, "shows and controls a process", testCtlProcess)
	beside(t, "refuses arguments that it does not know", testCtlMistakes)
	beside(t, "needs no more rights than docs/redis.md gives", testCtlRights)
}

func testCtlJobs(s *harness.Site) {
	jid := strings.TrimSpace(s.OK("", "push", "Test::Fail", `["boom"]`, "--queue", "default"))
	s.OK("", "push", "Test::NoOp", "--in", "1h")
	for range 2 { // the same jid twice is one job
		s.OK("", "push", "Test::NoOp", "--at", "2033-05-18T03:33:20Z", "--jid", "mine")
	}
	s.OK("", "push", "Test::Fail", `["dead"]`, "--retry", "0")
	s.OK("pull", "push", "X", "--queue", "pull", "--jid", "pull1")
	s.OK("2", "queues")
	s.OK(`["boom"]`, "queue", "default")
	s.OK("2033-05-18 03:33:20", "scheduled")
	s.OK("", "queue", "pull", "--pause")
	s.OK("paused", "queues")
	w := s.Worker("-c", "2")
	s.Until(10*time.Second, "both jobs have failed", func() bool {
		return s.Card("retry") == 1 && s.Card("dead") == 1
	})
	s.OK("error: boom", "retries")
	s.OK("retry_count", "retries", "show", jid)
	s.OK("reschedule "+jid, "retries", "reschedule", jid, "--in", "1h")
	s.OK("error: dead", "dead", "list")
	s.Equal("jobs in the paused queue", s.Len("pull"), 1)
	s.OK("kill "+jid, "retries", "kill", jid)
	s.OK("delete mine", "scheduled", "delete", "mine")
	s.Equal("dead", s.Card("dead"), 2)
	s.Equal("scheduled", s.Card("schedule"), 1)
	out, code := s.Ctl("n\n", "dead", "delete", "--all")
	s.Equal("exit code after the answer n: "+out, code, 1)
	s.Equal("dead after the answer n", s.Card("dead"), 2)
	s.OK("delete: 2 jobs", "dead", "delete", "--all", "--yes")
	out, code = s.Ctl("y\n", "queue", "pull", "--clear")
	s.Equal("exit code after the answer y: "+out, code, 0)
	s.Equal("waiting after the answer y", s.Waiting(), 0)
	s.Equal("exit code", w.Stop(), 0)
	stats(s, 2, 2)
}

func testCtlProcess(s *harness.Site) {
	w := s.Worker("-c", "2")
	id := w.Identity()
	s.OK(id, "processes")
	s.Push("Test::Sleep", []any{7000}, queue.Options{})
	s.Until(10*time.Second, "the job is shown as busy", func() bool {
		out, _ := s.Ctl("", "busy")
		return strings.Contains(out, "Test::Sleep")
	})
	s.OK("TTIN", "dump", id)
	s.Until(10*time.Second, "the log has stacks",
		func() bool { return w.Says("stacks of all goroutines") && w.Says("goroutine profile") })
	host, _, _ := strings.Cut(id, ":")
	s.OK("Test::Sleep", "busy", "--process", host, "--filter", "arg:7000")
	s.OK("nothing is stuck", "stuck")
	s.OK("drained", "quiet", host, "--wait")
	s.Until(10*time.Second, "the worker is quiet",
		func() bool { return w.Says("no longer accepting new work") })
	s.OK("TERM", "stop", id)
	s.Equal("exit code", w.Exit(15*time.Second), 0)
	stats(s, 1, 0)
}

// stats checks the figures that workerctl shows after all processes have ended.
func stats(s *harness.Site, processed, failed int) {
	s.Helper()
	var st struct{ Processed, Failed, Processes int }
	s.Must(json.Unmarshal([]byte(s.OK("", "stats", "--json", "--days", "2")), &st))
	s.Equal("processed", st.Processed, processed)
	s.Equal("failed", st.Failed, failed)
	s.Equal("processes", st.Processes, 0)
}

func testCtlMistakes(s *harness.Site) {
	for args, want := range map[string]string{
		"":                         "Usage",
		"frobnicate":               "there is no command",
		"push":                     "want a class",
		"push A {}":                "is not a JSON array",
		"push A [] --in soon":      "want a duration",
		"push A [] --in 1s --at 5": "exclude each other",
		"push A [] --retry maybe":  "want a number",
		"retries explode x":        "want list, show, retry",
		"retries retry":            "want JIDs, or --all",
		"retries reschedule x":     "want --in or --at",
		"queue a delete":           "delete: want JIDs, or --all, or --filter",
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
		s.Exits(2, want, strings.Fields(args)...)
	}
	for _, args := range []string{"retries retry nobody", "quiet no:1:body", "iteration nobody",
		"queue a delete nobody", "retries show nobody"} {
		s.Exits(1, "not found", strings.Fields(args)...)
	}
}

// testCtlRights runs a worker and workerctl as the user of docs/redis.md, and checks that Redis
// has refused nothing.
func testCtlRights(s *harness.Site) {
	s.OK("", "push", "Test::Fail", `["x"]`)
	s.OK("", "push", "Test::Fail", `["x"]`, "--retry", "0", "--queue", "pull")
	s.OK("", "push", "Test::NoOp", "--in", "1h")
	w := s.Worker("-c", "3", "--sidekiq7-metrics", "--unknown", "hold")
	s.Until(10*time.Second, "both jobs have failed", func() bool {
		return s.Card("retry") == 1 && s.Card("dead") == 1
	})
	s.OK("", "push", "Test::NoOp", "--queue", "push") // this job comes through a doorbell
	s.OK("", "push", "Nobody::Knows")
	s.Until(10*time.Second, "the job is held",
		func() bool { return s.Card("kyu:hold:Nobody::Knows") == 1 })
	s.OK("Nobody::Knows", "held")
	s.OK("release: 1 jobs", "held", "Nobody::Knows", "release", "--all", "--yes")
	s.OK("", "push", "Test::Iter", `[10000, 20]`, "--jid", "iter")
	s.OK("cancelled iter", "cancel", "iter")
	s.OK("marked: v1", "deploy", "v1")
	s.OK("v1", "deploys")
	s.Until(10*time.Second, "the iterable job has ended", func() bool {
		return s.Raw.Exists(s.Context(), "it-iter").Val() == 0
	})
	s.Until(10*time.Second, "the metrics have the class", func() bool {
		out, _ := s.Ctl("", "metrics")
		return strings.Contains(out, "Test::NoOp")
	})
	s.OK("BELOW", "metrics", "Test::NoOp")
	s.Until(10*time.Second, "all jobs have run", func() bool {
		return w.Says("queue=push") && s.Waiting() == 0 && s.InFlight() == 0
	})
	s.OK("retry: 1 jobs", "retries", "retry", "--all", "--yes")
	s.OK("kyu", "processes")
	s.OK("Test::NoOp", "classes")
	s.OK("pull", "queues")
	s.OK("Test::Fail", "find", "class:Test::Fail")
	s.Exits(1, "not found", "queue", "nobody")
	s.Ctl("", "stuck", "--locks")
	w.Signal(syscall.SIGTERM)
	s.Equal("exit code", w.Exit(15*time.Second), 0)
	s.Equal("the worker was refused a command", w.Says("NOPERM"), false)
	s.Equal("commands that Redis refused", s.Raw.Do(s.Context(), "ACL", "LOG").Val(), "[]")
}
