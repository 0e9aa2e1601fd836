package main

import "testing"

func TestIteration(t *testing.T) {
	s := withRedis(t)
	s.raw.HSet(t.Context(), "it-mine", "ex", 2, "c", `{"id":7}`, "rt", 7.3)
	s.ok("7.3s", "iteration mine")
	s.ok(`"executions": 2`, "iteration mine --json")
	s.fails(1, "has not begun, has ended, or is not iterable", "iteration nobody")
}

func TestCancel(t *testing.T) {
	s := withRedis(t)
	s.ok("cancelled mine at", "cancel mine")
	if s.raw.HGet(t.Context(), "it-mine", "cancelled").Val() == "" {
		t.Error("the mark is not in Redis")
	}
}
