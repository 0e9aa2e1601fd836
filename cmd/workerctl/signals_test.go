package main

import "testing"

func TestSignals(t *testing.T) {
	s := withRedis(t)
	t.Run("reach no process if none is alive", func(t *testing.T) {
		s.of(t).fails(1, "no process is alive", "quiet --all")
		s.of(t).fails(1, "not found", "quiet h:1:one")
	})
	s.process("h:1:one")
	s.process("h:2:two")
	t.Run("go to the processes that are named", func(t *testing.T) {
		s.of(t).ok("TTIN → h:1:one", "dump h:1:one")
		s.of(t).sizes(map[string]int64{"h:1:one-signals": 1, "h:2:two-signals": 0})
	})
	t.Run("are refused for a Sidekiq inside another program, which ignores them",
		func(t *testing.T) {
			s := s.of(t)
			s.raw.SAdd(t.Context(), "processes", "r:3:embedded")
			s.raw.HSet(t.Context(), "r:3:embedded", "info", `{"pid":3,"embedded":true}`)
			for _, command := range []string{"quiet", "stop", "dump"} {
				s.fails(1, "inside another Ruby program", command+" r:3:embedded")
			}
			s.ok("left out: r:3:embedded", "dump --all")
			s.raw.Del(t.Context(), "h:1:one-signals", "h:2:two-signals")
			s.sizes(map[string]int64{"r:3:embedded-signals": 0})
		})
	t.Run("go to all with --all", func(t *testing.T) {
		s.of(t).ok("TSTP → h:2:two", "quiet --all")
		s.of(t).sizes(map[string]int64{"h:1:one-signals": 1, "h:2:two-signals": 1})
	})
	t.Run("stop all only after a yes", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "nothing was done", "stop --all")
		s.sizes(map[string]int64{"h:2:two-signals": 1})
		s.ok("TERM → h:2:two", "stop --all --yes")
		s.sizes(map[string]int64{"h:2:two-signals": 2})
	})
}

func TestSignalWords(t *testing.T) {
	s := withRedis(t)
	s.process("h:1:one")
	s.process("h:2:two")
	t.Run("go to the processes of a host, and of a tag", func(t *testing.T) {
		s := s.of(t)
		s.ok("TTIN → h:1:one\nTTIN → h:2:two\n", "dump h")
		s.ok("TTIN → h:1:one\n", "dump tag:web")
		s.sizes(map[string]int64{"h:1:one-signals": 2, "h:2:two-signals": 2})
	})
	t.Run("go to nobody if one of the words is wrong", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "process wen: not found: did you mean web?", "quiet h:1:one wen")
		s.sizes(map[string]int64{"h:1:one-signals": 2})
	})
	t.Run("stop several only after a yes, but one that is named at once", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "nothing was done", "stop host:h")
		s.sizes(map[string]int64{"h:1:one-signals": 2})
		s.ok("TERM → h:1:one\nTERM → h:2:two\n", "stop h:1:one h:2:two")
		s.ok("TERM → h:2:two\n", "stop h --yes")
	})
}
