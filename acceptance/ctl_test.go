package acceptance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// ctl runs workerctl and gives what it prints.
func (s *site) ctl(stdin string, args ...string) (out string, code int) {
	s.Helper()
	cmd := exec.Command(filepath.Join(bin, "workerctl"), args...)
	cmd.Env = append(os.Environ(), "REDIS_URL="+s.server.URL)
	cmd.Stdin = strings.NewReader(stdin)
	b, _ := cmd.CombinedOutput()
	return string(b), cmd.ProcessState.ExitCode()
}

func (s *site) ok(want string, args ...string) string {
	s.Helper()
	out, code := s.ctl("", args...)
	if code != 0 || !strings.Contains(out, want) {
		s.Errorf("workerctl %s: exit %d, want %q in\n%s", strings.Join(args, " "), code, want, out)
	}
	return out
}

func TestTheOperatorsToolShowsAndMovesJobs(t *testing.T) {
	s := newSite(t)
	jid := strings.TrimSpace(s.ok("", "push", "Test::Fail", `["boom"]`, "--queue", "default"))
	s.ok("", "push", "Test::NoOp", "--in", "1h")
	s.ok("", "push", "Test::NoOp", "--at", "2033-05-18T03:33:20Z", "--jid", "mine")
	s.ok("", "push", "Test::NoOp", "--at", "2033-05-18T03:33:20Z", "--jid", "mine") // not doubled
	s.ok("", "push", "Test::Fail", `["dead"]`, "--retry", "0")
	s.ok("pull", "push", "X", "--queue", "pull", "--jid", "pull1")
	s.ok("2", "queues")
	s.ok(`["boom"]`, "queue", "default")
	s.ok("2033-05-18 03:33:20", "scheduled")
	s.ok("", "queue", "pull", "--pause")
	s.ok("paused", "queues")
	w := s.worker("-c", "2")
	s.until(10*time.Second, "failed", func() bool { return s.card("retry") == 1 && s.card("dead") == 1 })
	s.ok("error: boom", "retries")
	s.ok("error: dead", "dead", "list")
	if s.raw.LLen(t.Context(), "queue:pull").Val() != 1 {
		t.Error("a paused queue was served")
	}
	s.ok("kill "+jid, "retries", "kill", jid)
	s.ok("delete mine", "scheduled", "delete", "mine")
	if s.card("dead") != 2 || s.card("schedule") != 1 {
		t.Errorf("dead %d, scheduled %d", s.card("dead"), s.card("schedule"))
	}
	if out, code := s.ctl("n\n", "dead", "delete", "--all"); code != 1 || s.card("dead") != 2 {
		t.Errorf("deleted without a yes: %s", out)
	}
	s.ok("delete: 2 jobs", "dead", "delete", "--all", "--yes")
	if out, code := s.ctl("y\n", "queue", "pull", "--clear"); code != 0 || s.waiting() != 0 {
		t.Errorf("%d %s", code, out)
	}
	id := w.identity()
	s.ok(id, "processes")
	s.push("Test::Sleep", []any{7000}, queue.Options{})
	s.until(10*time.Second, "shown as busy", func() bool { out, _ := s.ctl("", "busy"); return strings.Contains(out, "Test::Sleep") })
	s.ok("TTIN", "dump", id)
	s.until(10*time.Second, "stacks in the log", func() bool { return w.says("stacks of all goroutines") && w.says("goroutine profile") })
	s.ok("TSTP", "quiet", "--all")
	s.until(10*time.Second, "quiet", func() bool { return w.says("no longer accepting new work") })
	s.ok("TERM", "stop", id)
	if code := w.exit(15 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var st struct{ Processed, Failed, Processes int }
	if err := json.Unmarshal([]byte(s.ok("", "stats", "--json", "--days", "2")), &st); err != nil || st.Failed != 2 || st.Processed != 3 || st.Processes != 0 {
		t.Errorf("%+v %v", st, err)
	}
}

// identity is the running worker's, as Redis knows it.
func (p *process) identity() (id string) {
	p.site.Helper()
	p.site.until(10*time.Second, "it is registered", func() bool {
		list, err := p.site.store.Processes(p.site.Context())
		if err == nil && len(list) > 0 {
			id = list[0].Identity
		}
		return id != ""
	})
	return id
}

func TestTheOperatorsToolRefusesWhatItDoesNotUnderstand(t *testing.T) {
	s := newSite(t)
	for args, want := range map[string]string{
		"":                         "Usage",
		"frobnicate":               "there is no command",
		"push":                     "want a class",
		"push A {}":                "is not a JSON array",
		"push A [] --in soon":      "want a duration",
		"push A [] --in 1s --at 5": "exclude each other",
		"push A [] --retry maybe":  "want a number",
		"retries explode x":        "want list, retry, kill or delete",
		"retries retry":            "want JIDs, or --all",
		"dead kill x":              "dead already",
		"quiet":                    "want identities",
		"queue a/b":                "want 1 to 128",
		"--nope":                   "unknown flag",
	} {
		if out, code := s.ctl("", strings.Fields(args)...); code != 2 || !strings.Contains(out, want) {
			t.Errorf("workerctl %s: exit %d, want 2 and %q in\n%s", args, code, want, out)
		}
	}
	for args, want := range map[string]string{"retries retry nobody": "not found", "quiet nobody": "not found"} {
		if out, code := s.ctl("", strings.Fields(args)...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("workerctl %s: exit %d\n%s", args, code, out)
		}
	}
}

func TestStuckHandlersMakeTheWorkerGiveUpWithCodeThree(t *testing.T) {
	s := newSite(t)
	w := s.worker("-c", "2", "-t", "1", "--max-stuck", "2")
	s.push("Test::Hang", nil, queue.Options{})
	s.push("Test::Hang", nil, queue.Options{})
	if code := w.exit(20 * time.Second); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if s.raw.LLen(t.Context(), "queue:default").Val() != 2 {
		t.Error("the jobs are not back in their queue")
	}
}

func TestAProgramOfTenLinesIsAWorker(t *testing.T) {
	s := newSite(t)
	w := s.start(filepath.Join(bin, "hello"))
	s.push("Greeter", []any{"you", 2}, queue.Options{})
	s.until(10*time.Second, "it greets", func() bool { return strings.Count(w.log.String(), "Hello, you") == 2 })
}

func TestTheWorkerRunsUnderTheACLRuleOfTheDocumentation(t *testing.T) {
	s := newSite(t)
	page, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rule, found := strings.Cut(string(page), "    ACL SETUSER kyu ")
	rule, _, _ = strings.Cut(rule, "\n")
	if !found {
		t.Fatal("no rule in docs/redis.md")
	}
	args := []any{"ACL", "SETUSER", "kyu"}
	for _, word := range strings.Fields(strings.Replace(rule, ">PASSWORD", ">secret", 1)) {
		args = append(args, word)
	}
	if err := s.raw.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	s.server.URL = "redis://kyu:secret@" + s.server.Addr + "/0"
	s.ok("", "push", "Test::Fail", `["x"]`)
	s.ok("", "push", "Test::Fail", `["x"]`, "--retry", "0", "--queue", "pull")
	s.ok("", "push", "Test::NoOp", "--in", "1h")
	w := s.worker("-c", "3")
	s.until(10*time.Second, "failed", func() bool { return s.card("retry") == 1 && s.card("dead") == 1 })
	s.ok("", "push", "Test::NoOp", "--queue", "push") // through a bell
	s.until(10*time.Second, "done", func() bool { return w.says("queue=push") && s.waiting() == 0 && s.inFlight() == 0 })
	s.ok("retry: 1 jobs", "retries", "retry", "--all", "--yes")
	s.ok("kyu", "processes")
	w.signal(15)
	if code := w.exit(15 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if w.says("NOPERM") {
		t.Error("it was refused something")
	}
	if log := s.raw.Do(t.Context(), "ACL", "LOG").Val(); len(log.([]any)) != 0 {
		t.Errorf("refused: %v", log)
	}
}
