package main

import (
	"strings"
	"testing"
)

func TestQueueName(t *testing.T) {
	_, errs, code := withoutRedis(t).run("queue", "a\nb")
	if want := `workerctl queue NAME: "a\nb": want 1 to 512 bytes`; code != 2 ||
		!strings.Contains(errs, want) {
		t.Errorf("exit code %d, %q, want %q", code, errs, want)
	}
}

func TestQueue(t *testing.T) {
	s := withRedis(t)
	for _, jid := range []string{"a", "b", "c"} {
		s.ok(jid, "push Class --jid "+jid)
	}
	t.Run("lists jobs by page", func(t *testing.T) {
		s.of(t).ok("Class", "queue default")
		if out := s.of(t).ok("JID", "queue default --page 2"); len(out) > 100 {
			t.Errorf("jobs on the second page:\n%s", out)
		}
		s.of(t).ok("[]", "queue default --page 9223372036854775807 --json")
	})
	t.Run("pauses and unpauses", func(t *testing.T) {
		s.of(t).ok("paused default", "queue default --pause")
		s.of(t).ok("unpaused default", "queue default --unpause")
		if n := s.raw.SCard(t.Context(), "paused").Val(); n != 0 {
			t.Errorf("%d paused queues", n)
		}
	})
	t.Run("pauses a queue that does not exist only by force", func(t *testing.T) {
		s.of(t).fails(1, "did you mean default?; with --force", "queue defualt --pause")
		s.of(t).ok("paused new", "queue new --pause --force")
	})
	t.Run("deletes the jobs that are named", func(t *testing.T) {
		s.of(t).ok("delete b", "queue default delete b")
		s.of(t).fails(1, "not found", "queue default delete b")
		if n := s.size("queue:default"); n != 2 {
			t.Errorf("%d jobs, want 2", n)
		}
	})
	t.Run("clears only after a yes", func(t *testing.T) {
		s := s.of(t)
		s.input = "n\n"
		s.fails(1, "nothing was done", "queue default --clear")
		if n := s.size("queue:default"); n != 2 {
			t.Errorf("%d jobs, want 2", n)
		}
		s.input = "yes\n"
		s.ok("delete: 2 jobs of the queue default (undo: ", "queue default --clear")
		if n := s.size("queue:default"); n != 0 {
			t.Errorf("%d jobs, want 0", n)
		}
	})
}
