package main

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestJob(t *testing.T) {
	s := withRedis(t)
	s.raw.SAdd(t.Context(), "queues", "push")
	s.raw.LPush(t.Context(), "queue:push", `{"class":"A","jid":"first","queue":"push","args":[]}`,
		`{"class":"A","jid":"locked","queue":"push","args":[42],"lock":"until_executed",`+
			`"lock_digest":"uniquejobs:1"}`)
	s.lock("uniquejobs:1", "first")
	s.raw.ZAdd(t.Context(), "dead", redis.Z{Score: 1764380000,
		Member: `{"class":"A","jid":"late","queue":"push","args":[]}`})
	t.Run("says where a job is, and why it does not run", func(t *testing.T) {
		s := s.of(t)
		s.ok("in the queue push", "job locked")
		s.ok("no process serves the queue push", "job locked")
		s.ok("1 jobs of the queue push are taken before it", "job locked")
		s.ok("job first holds its lock uniquejobs:1", "job locked")
		s.ok("workerctl dead retry late", "job late")
		s.ok(`"kind": "dead"`, "job late --json")
	})
	t.Run("refuses what it cannot find", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "it is done, or was deleted, or never existed", "job nowhere")
		s.fails(2, "want one JID", "job")
	})
}
