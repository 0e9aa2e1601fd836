package main

import "testing"

func TestHeld(t *testing.T) {
	s := withRedis(t)
	for _, jid := range []string{"a", "b", "c"} {
		s.store("kyu:hold:Later", "Later", jid)
	}
	s.raw.SAdd(t.Context(), "kyu:held", "Later")
	t.Run("lists the classes", func(t *testing.T) {
		s.of(t).ok("WORKERS THAT KNOW IT\nLater", "held")
		s.of(t).ok(`"Later"`, "held --json")
	})
	t.Run("lists as many classes as are asked for", func(t *testing.T) {
		s := s.of(t)
		s.store("kyu:hold:Other", "Other", "o")
		s.raw.SAdd(t.Context(), "kyu:held", "Other")
		s.ok("\n1 to 1 of 2\n", "held --limit 1")
	})
	t.Run("lists the jobs of a class", func(t *testing.T) { s.of(t).ok("c  ", "held Later") })
	t.Run("releases and deletes", func(t *testing.T) {
		s := s.of(t)
		s.ok("release a", "held Later release a")
		s.ok("delete b", "held Later delete b")
		s.ok("release: 1 jobs", "held Later release --all --yes")
		s.sizes(map[string]int64{"queue:default": 2, "kyu:hold:Later": 0})
	})
}
