package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// undoID is the id in what a deletion prints.
var undoID = regexp.MustCompile(`workerctl undo (\w+)\)`)

func TestOperations(t *testing.T) {
	s := withRedis(t)
	s.failures()
	client := queue.NewClient(s.redis.Store())
	for i := range 30 {
		if _, err := client.Push(t.Context(), "Feed::Fan", []any{i}, queue.Options{Queue: "pull",
			JID: fmt.Sprint("q", i)}); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a deletion is undone by its id", func(t *testing.T) {
		s := s.of(t)
		before := s.raw.ZRangeWithScores(t.Context(), "retry", 0, -1).Val()
		out := s.ok("delete: 20 jobs of retries, of the filter host:b.example (undo: ",
			"retries delete --filter host:b.example --yes")
		id := undoID.FindStringSubmatch(out)[1]
		s.sizes(map[string]int64{"retry": 40})
		s.ok("done", "operations")
		s.ok(`"changed": 20`, "operations --json")
		s.ok("restored 20 jobs of the operation "+id, "undo "+id)
		after := s.raw.ZRangeWithScores(t.Context(), "retry", 0, -1).Val()
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Error("the set is not what it was")
		}
		s.fails(1, "the trash is empty", "undo "+id)
		s.ok("restored 20 jobs of the operation "+id, "audit")
	})
	t.Run("jobs move from queue to queue in order", func(t *testing.T) {
		s := s.of(t)
		s.fails(2, "want --to QUEUE", "queue pull move --all")
		s.fails(1, "queue lwo: not found: no process serves it", "queue pull move --all --to lwo")
		s.ok("move would change 11 of the 30 jobs of the queue pull",
			"queue pull move --filter jid:q1* --to low --force --dry-run")
		s.input = "n\n"
		s.fails(1, "nothing was done", "queue pull move --filter jid:q1* --to low --force")
		s.input = "y\n"
		s.ok("move: 11 jobs of the queue pull, to the queue low, of the filter jid:q1*",
			"queue pull move --filter jid:q1* --to low --force")
		s.input = ""
		s.ok("move q5 of the queue pull, to the queue low", "queue pull move q5 --to low")
		s.sizes(map[string]int64{"queue:pull": 18, "queue:low": 12})
		s.ok("1 to 1 of 1\n", "queue low --filter arg:10")
	})
	t.Run("jobs that are not there are named", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "1 of the 2 jobs: not found in the queue low: nobody",
			"queue low delete q5 nobody")
		s.ok("kill q1 of the queue low", "queue low kill q1")
		s.sizes(map[string]int64{"queue:low": 10, "dead": 1})
	})
	t.Run("an operation that was interrupted is gone on with, or cancelled", func(t *testing.T) {
		s := s.of(t)
		in := inspect.New(s.redis.Store())
		first, err := in.Begin(t.Context(), inspect.Request{Verb: queue.VerbKill, Set: "retry"})
		if err != nil {
			t.Fatal(err)
		}
		second, err := in.Begin(t.Context(), inspect.Request{Verb: queue.VerbForget, Set: "retry"})
		if err != nil {
			t.Fatal(err)
		}
		s.ok("interrupted", "operations")
		s.ok("cancelled "+second.ID, "operations cancel "+second.ID)
		s.fails(1, "is not running: it is cancelled", "operations cancel "+second.ID)
		s.ok("kill: 60 jobs of retries", "operations resume "+first.ID)
		s.fails(1, "is done", "operations resume "+first.ID)
		s.fails(1, "only deletions can be undone", "undo "+first.ID)
		s.fails(1, "not found", "undo nothing")
	})
	t.Run("a deletion without undo leaves no trash", func(t *testing.T) {
		s := s.of(t)
		out := s.ok("delete: 61 jobs of dead", "dead delete --all --yes --no-undo")
		keys := s.raw.Keys(t.Context(), "kyu:trash:*").Val()
		if strings.Contains(out, "undo") || len(keys) != 1 { // of the queue low
			t.Errorf("%s\n%v", out, keys)
		}
	})
	t.Run("a retry can be moved to another queue", func(t *testing.T) {
		s := s.of(t)
		s.store("retry", "A", "m")
		s.ok("move m of retries, to the queue low", "retries move m --to low")
		s.ok("low", "retries show m")
	})
}
