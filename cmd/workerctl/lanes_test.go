package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// parks parks jobs of the queue push in the lane x, which one that runs fills, as a worker does.
func (s *terminal) parks(jobs int) {
	const rule = "kyu:{queue:push}:lanes"
	for i := range jobs {
		s.raw.LPush(s.Context(), rule+":lane:x", fmt.Sprintf(
			`{"class":"Deliver","args":["x"],"jid":"parked%d","queue":"push"}`, i))
	}
	s.raw.HSet(s.Context(), rule, "parked", jobs, "running", 1)
	s.raw.HSet(s.Context(), rule+":busy", "x", 1)
	s.raw.ZAdd(s.Context(), rule+":full", redis.Z{Member: "x"})
}

// rubyServes notes that a process of Ruby's serves the queue push.
func (s *terminal) rubyServes() {
	info, _ := json.Marshal(map[string]any{"hostname": "ruby", "pid": 7,
		"queues": []string{"push"}})
	s.raw.SAdd(s.Context(), "processes", "ruby:7:a")
	s.raw.HSet(s.Context(), "ruby:7:a", "info", info, "beat", time.Now().Unix())
}

func TestLanes(t *testing.T) {
	t.Run("gives a queue a rule, and lists queues and lanes", func(t *testing.T) {
		s := withRedis(t)
		s.fails(1, "with --force", "lanes set push max=1")
		s.ok("set the rule of push: key=args.0,max=1", "lanes set push key=args.0,max=1 --force")
		s.parks(3)
		s.ok("push   on     1        3       0      1     0       hand  key=args.0,max=1", "lanes")
		s.ok("x     full   3       1", "lanes push")
		s.ok(`"waited_seconds"`, "lanes push --json")
		s.ok(`"parked": 3`, "lanes --json")
		s.ok("push   3     3", "queues")
		s.ok("3 more are in lanes", "queue push")
		s.ok("lane x of queue push", "job parked1")
		s.ok("is full: 1 of its jobs run", "job parked1")
		s.ok("lane x of queue push", "find jid:parked1")
		s.ok("lanes set", "audit")
		s.offering("push", "lanes", "close", "")
		s.offering("x", "lanes", "close", "push", "")
	})
	t.Run("closes, opens and drains lanes", func(t *testing.T) {
		s := withRedis(t)
		s.ok("", "lanes set push key=args.0,max=1 --force")
		s.parks(2)
		s.ok("closed the lane x of push for 5m0s", "lanes close push x --for 5m")
		s.ok("closed  2       1", "lanes push")
		s.ok("opened the lane x of push", "lanes open push x")
		s.ok("full   2       1", "lanes push")
		s.fails(1, "its lanes are on", "lanes forget push")
		s.fails(1, "nothing was done", "lanes drain push")
		s.ok("put 2 jobs back", "lanes drain push --yes")
		s.ok("delete: 2 jobs of the queue push", "queue push delete --all --yes")
	})
	t.Run("are off while an operation goes through the queue", func(t *testing.T) {
		s := withRedis(t)
		s.ok("", "lanes set push key=args.0,max=1 --force")
		s.parks(2)
		s.ok("delete: 2 jobs of the queue push", "queue push delete --all --yes")
		s.ok("on", "lanes")
	})
	t.Run("repairs counts, which doctor finds wrong", func(t *testing.T) {
		s := withRedis(t)
		s.ok("", "lanes set push key=args.0,max=1 --force")
		s.ok("The counts of push are right", "lanes repair push")
		s.parks(2)
		s.exits(2, "workerctl lanes repair push", "doctor")
		s.ok("corrected the counts of 1 lanes of push: 1 jobs did not run", "lanes repair push")
		s.ok("ready  2       0", "lanes push")
		s.raw.Del(s.Context(), "kyu:{queue:push}:lanes:lane:x")
		s.ok("put 0 jobs back", "lanes drain push --yes")
	})
	t.Run("refuses what it cannot do", func(t *testing.T) {
		s := withRedis(t)
		s.fails(2, "want QUEUE RULE", "lanes set push")
		s.fails(2, "want QUEUE LANE", "lanes close push")
		s.fails(2, "want more than 0", "lanes close push x --for 0s")
		s.fails(2, "max=many", "lanes set push max=many")
		s.fails(1, "the queue has no lanes", "lanes open push x")
		s.fails(1, "the queue has no lanes", "lanes push")
		s.rubyServes()
		s.fails(1, "a process of Ruby's serves the queue push", "lanes set push max=1")
		s.ok("set the rule", "lanes set push max=1,beside-ruby")
	})
}
