package main

import "testing"

func TestFind(t *testing.T) {
	s := withRedis(t)
	s.store("retry", "A", "a1")
	s.store("dead", "B", "b1")
	s.ok("", "push C [42] --queue q --jid c1")
	s.ok("", "push C [43] --queue q --jid c2")
	t.Run("lists jobs with their places", func(t *testing.T) {
		s := s.of(t)
		s.ok("c1   C      [42]  queue q  ", "find arg:42")
		s.ok("\n1 found, of 4 jobs\n", "find arg:42")
		s.ok("a1   A      [1]   retries", "find class:A")
		s.ok("c2 ", "find class:C arg:43")
		s.ok("0 found, of 4 jobs\n", "find class:Nobody")
		s.ok(`"place":{"kind":"dead","at":"`, "find jid:b1 -o jsonl")
		s.ok("[]\n", "find class:Nobody --json")
	})
	t.Run("ends at its limit", func(t *testing.T) {
		s.of(t).ok("the first 1; there are others: give a narrower", "find class:C --limit 1")
	})
	t.Run("ends after a time", func(t *testing.T) {
		s.of(t).fails(1, "after 1ns 0 jobs were read, and there are others", "find A --timeout 1ns")
	})
	t.Run("refuses what is no filter", func(t *testing.T) {
		s.of(t).fails(2, "want a filter", "find")
		s.of(t).fails(2, `there is no "klass"`, "find klass:A")
		s.of(t).fails(2, "--timeout: want more than 0", "find A --timeout 0s")
	})
}
