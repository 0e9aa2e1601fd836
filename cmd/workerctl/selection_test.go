package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// failures puts 60 failed deliveries into the retry set, every third for the host b.example.
func (s *terminal) failures() {
	for i := range 60 {
		host := "a"
		if i%3 == 0 {
			host = "b"
		}
		s.raw.ZAdd(s.Context(), "retry", redis.Z{Score: 2e9, Member: fmt.Sprintf(`{"class":`+
			`"Deliver","jid":"%s%d","queue":"push","args":["https://%[1]s.example/inbox"],`+
			`"created_at":1764380000.5,"retry_count":2}`, host, i)})
	}
}

func TestFilterOfSets(t *testing.T) {
	s := withRedis(t)
	s.failures()
	t.Run("lists the jobs that it chooses", func(t *testing.T) {
		s := s.of(t)
		s.okArgs("1 to 20 of 20", "retries", "--filter", "host:b.example retry>2")
		s.okArgs("a59", "retries", "list", "--filter", "-host:b.example", "--page", "2")
		s.okArgs("JID", "retries", "--filter", "host:b.example -retry:3")
	})
	t.Run("counts with --dry-run, and changes nothing", func(t *testing.T) {
		s := s.of(t)
		s.okArgs("retry would change 20 of the 60 jobs of retries", "retries", "retry",
			"--filter", "host:b.example", "--dry-run")
		s.sizes(map[string]int64{"retry": 60})
	})
	t.Run("changes them after a yes", func(t *testing.T) {
		s := s.of(t)
		s.input = "y\n"
		s.okArgs("retry: 20 jobs", "retries", "retry", "--filter", "host:b.example")
		s.input = ""
		s.okArgs("kill: 1 jobs", "retries", "kill", "--filter", "jid:a1", "--yes")
		s.sizes(map[string]int64{"retry": 39, "queue:push": 20, "dead": 1})
	})
	t.Run("refuses a wrong filter, and two ways to choose", func(t *testing.T) {
		s := s.of(t)
		s.fails(2, `there is no "klass"`, "retries --filter klass:A")
		s.fails(2, "want JIDs, or --all, or --filter", "dead delete --filter a --all")
		s.fails(2, "--dry-run counts the jobs", "dead delete x --dry-run")
		s.fails(2, "there is no", "held Job --filter nothing:1")
	})
}

// okArgs is ok for words that contain spaces.
func (s *terminal) okArgs(want string, args ...string) {
	s.Helper()
	out, errs, code := s.run(args...)
	if code != 0 || errs != "" || !strings.Contains(out, want) {
		s.Errorf("workerctl %q: exit code %d, want %q in\n%s%s", args, code, want, out, errs)
	}
}
