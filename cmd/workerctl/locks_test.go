package main

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
)

// lock gives a lock to a job that is nowhere, as a crashed Ruby process leaves it.
func (s *terminal) lock(digest, jid string) {
	s.raw.HSet(s.Context(), digest+":LOCKED", jid, "1764380000.1234567")
	s.raw.Set(s.Context(), digest, jid, 0)
	s.raw.ZAdd(s.Context(), "uniquejobs:digests", redis.Z{Score: 1764380000, Member: digest})
}

func TestLocks(t *testing.T) {
	s := withRedis(t)
	for i := range 3 {
		s.lock(fmt.Sprint("uniquejobs:", i), fmt.Sprint("job", i))
	}
	t.Run("lists locks, with the jobs that hold them", func(t *testing.T) {
		s := s.of(t)
		s.ok("uniquejobs:1", "locks")
		s.ok("job2", "locks")
		s.ok("\n1 to 1 of 3\n", "locks --limit 1")
		s.ok("\n1 to 3 of 3\n", "locks")
		s.ok("There are more", "locks uniquejobs --limit 1")
		s.ok(`"jid": "job1"`, "locks uniquejobs:1 --json")
	})
	t.Run("refuses what it cannot do", func(t *testing.T) {
		s := s.of(t)
		s.fails(2, "name the digests", "locks delete")
		s.fails(2, "want one text", "locks a b")
		s.fails(2, "not both", "locks delete a --orphans")
		s.fails(2, "want at least 1", "locks --limit 0")
		s.fails(1, "no job holds this lock", "locks delete uniquejobs:none")
	})
	t.Run("deletes a lock", func(t *testing.T) {
		s := s.of(t)
		s.ok("deleted the lock uniquejobs:0", "locks delete uniquejobs:0")
	})
	t.Run("deletes orphans after a question", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "nothing was done", "locks delete --orphans")
		s.ok("deleted the lock uniquejobs:2", "locks delete --orphans --yes")
		s.ok("There are no orphans", "locks delete --orphans --yes")
		if left := s.raw.Keys(s.Context(), "uniquejobs:*").Val(); len(left) > 0 {
			s.Errorf("left in Redis: %q", left)
		}
	})
}
