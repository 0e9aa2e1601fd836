package main

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue/envelope"
)

func TestPush(t *testing.T) {
	s := withRedis(t)
	waiting := func(t *testing.T, name string) *envelope.Job {
		t.Helper()
		list := s.raw.LRange(t.Context(), "queue:"+name, 0, -1).Val()
		if len(list) != 1 {
			t.Fatalf("%d jobs in the queue %s", len(list), name)
		}
		j, err := envelope.ParseJob(list[0])
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	t.Run("prints the id of the job", func(t *testing.T) {
		jid := strings.TrimSpace(s.of(t).ok("", `push A [1,"a"] --queue plain`))
		if j := waiting(t, "plain"); j.JID != jid || j.Class != "A" || string(j.Args) != `[1,"a"]` {
			t.Errorf("%s: %s", jid, j.Raw())
		}
	})
	t.Run("pushes an id once", func(t *testing.T) {
		s.of(t).ok("mine", "push A --queue once --jid mine")
		s.of(t).ok(`"jid": "mine"`, "push A --queue once --jid mine --json")
		if j := waiting(t, "once"); j.JID != "mine" {
			t.Error(j.Raw())
		}
	})
	t.Run("limits the retries", func(t *testing.T) {
		s.of(t).ok("", "push A --queue seven --retry 7")
		s.of(t).ok("", "push A --queue never --retry false")
		if j := waiting(t, "seven"); j.Field("retry") != "7" {
			t.Error(j.Raw())
		}
		if j := waiting(t, "never"); j.Field("retry") != "false" {
			t.Error(j.Raw())
		}
	})
	t.Run("schedules", func(t *testing.T) {
		s.of(t).ok("", "push A --in 1h")
		s.of(t).ok("", "push A --at 2033-05-18T03:33:20Z")
		if s.size("schedule") != 2 {
			t.Errorf("%d scheduled jobs, want 2", s.size("schedule"))
		}
	})
}
