package main

import "testing"

func TestIteration(t *testing.T) {
	s := withRedis(t)
	s.raw.HSet(t.Context(), "it-mine", "ex", 2, "c", `{"id":7}`, "rt", 7.3)
	s.ok("7.3s", "iteration mine")
	s.ok(`{"executions":2,"cursor":{"id":7},"runtime_seconds":7.3}`, "iteration mine -o jsonl")
	s.fails(1, "has not begun, has ended, or is not iterable", "iteration nobody")
}

func TestCancel(t *testing.T) {
	s := withRedis(t)
	marked := func(jid string) bool {
		return s.raw.HGet(t.Context(), "it-"+jid, "cancelled").Val() != ""
	}
	t.Run("marks a job that waits, and one that runs", func(t *testing.T) {
		s := s.of(t)
		s.ok("", "push A --jid mine")
		s.process("h:1:one") // runs the job j
		s.ok("cancelled mine at", "cancel mine j")
		if !marked("mine") || !marked("j") {
			t.Error("the marks are not in Redis")
		}
	})
	t.Run("refuses all if one is nowhere", func(t *testing.T) {
		s := s.of(t)
		s.ok("", "push A --jid other")
		s.fails(1, "job nobody: not found", "cancel other nobody")
		if marked("other") || marked("nobody") {
			t.Error("they are marked")
		}
	})
	t.Run("marks a job that comes later by force", func(t *testing.T) {
		s.of(t).ok("cancelled later at", "cancel later --force")
		if !marked("later") {
			t.Error("the mark is not in Redis")
		}
	})
}
