package main

import (
	"testing"

	"github.com/kyujobs/kyu/test/kit/pgtest"
)

func TestMigrate(t *testing.T) {
	s := withoutRedis(t)
	t.Run("needs a database", func(t *testing.T) {
		s.of(t).fails(1, "DATABASE_URL", "migrate")
	})
	s.vars["DATABASE_URL"] = pgtest.StartCluster(t).URL
	t.Run("creates the tables once", func(t *testing.T) {
		s.of(t).ok("not yet", "migrate status")
		s.of(t).ok("done: ", "migrate")
		s.of(t).ok("nothing to do", "migrate up")
		s.of(t).ok(`"name"`, "migrate status --json")
	})
}
