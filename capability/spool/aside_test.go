package spool_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/spool"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestRefusedClaim(t *testing.T) {
	b := newBench(t, spool.Options{}, func(c *queue.Config) {
		c.Capabilities = []queue.Capability{unique.Capability()}
	})
	client := queue.NewClient(b.spool, unique.Client(map[string]unique.Lock{
		"Feed": {Kind: unique.UntilDone, For: time.Hour}}))
	push := func(jid string, feed int) {
		t.Helper()
		if _, err := client.Push(t.Context(), "Feed", []any{feed},
			queue.Options{Queue: "a", JID: jid}); err != nil {
			t.Fatal(err)
		}
	}
	b.server.Kill()
	push("a1", 7)
	push("a2", 7)
	push("a3", 8)
	b.server.Restart()
	b.run()
	b.drained()
	t.Run("drops the job, and the others go on", func(t *testing.T) {
		b.same("jobs of a", b.jids("a"), "a1 a3")
		b.same("refused", b.spool.Stats().Refused, 1)
	})
	t.Run("is told with the job and the reason", func(t *testing.T) {
		if log := b.log.String(); !strings.Contains(log, "its claim is refused") ||
			!strings.Contains(log, "jid=a2") || !strings.Contains(log, "reason=a1") {
			t.Error(log)
		}
	})
	t.Run("is told to the caller of a push that goes directly", func(t *testing.T) {
		with, err := client.Push(t.Context(), "Feed", []any{7}, queue.Options{Queue: "a"})
		without, direct := queue.NewClient(b.store, unique.Client(map[string]unique.Lock{
			"Feed": {Kind: unique.UntilDone, For: time.Hour}})).Push(t.Context(), "Feed", []any{7},
			queue.Options{Queue: "a"})
		b.same("the push with a spool", fmt.Sprint(with, err), fmt.Sprint(without, direct))
	})
}

// failing is a capability whose claims fail.
var failing = queue.Capability{Kind: "failing", Lua: "return", Claim: `error("broken")`}

func TestPutAside(t *testing.T) {
	b := newBench(t, spool.Options{}, func(c *queue.Config) {
		c.Capabilities = []queue.Capability{failing}
	})
	b.raw.Set(t.Context(), "queue:broken", "of another program", 0)
	if err := b.raw.Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	b.server.Kill()
	b.push("a", "a1")
	b.push("broken", "x1")
	b.push("broken", "x2")
	if _, err := b.client.Push(t.Context(), "Job", nil, queue.Options{Queue: "a", JID: "c1",
		Claims: []queue.Claim{{Effect: queue.Effect{Kind: "failing"}}}}); err != nil {
		t.Fatal(err)
	}
	b.push("a", "a2")
	b.server.Restart()
	stop := b.run()
	b.drained()
	stop()
	t.Run("are the jobs that Redis refuses, and the others go on", func(t *testing.T) {
		b.same("jobs of a", b.jids("a"), "a1 a2")
		b.same("aside", b.spool.Stats().Aside, 3)
		b.same("kind of the key", b.raw.Type(t.Context(), "queue:broken").Val(), "string")
	})
	t.Run("are told with the reason", func(t *testing.T) {
		for _, want := range []string{"jid=x1", "jid=x2", "WRONGTYPE", "jid=c1", "broken"} {
			if !strings.Contains(b.log.String(), want) {
				t.Errorf("no %s in %s", want, b.log.String())
			}
		}
	})
	t.Run("are tried again at the next start, in order", func(t *testing.T) {
		b.raw.Del(t.Context(), "queue:broken")
		b.reopen()
		stop := b.run()
		b.drained()
		stop()
		b.same("jobs of the queue", b.jids("broken"), "x1 x2")
		b.same("aside", b.spool.Stats().Aside, 1)
		b.same("the files", b.files(), "00000003.aside lock")
	})
	t.Run("are tried again now and then while the process lives", func(t *testing.T) {
		b.spool.Readmit()
		b.same("jobs that wait", b.spool.Stats().Waiting, 1)
		b.run()
		testwait.Until(t, 20*time.Second, "the job is aside again",
			func() bool { return b.spool.Stats().Aside == 1 })
	})
}
