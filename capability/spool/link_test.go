package spool_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/spool"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestLink(t *testing.T) {
	b := &bench{T: t, server: redistest.Start(t), dir: t.TempDir()}
	b.raw = b.server.Client()
	connect := func(c queue.Config) *spool.Link {
		t.Helper()
		l, err := spool.Connect(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	b.server.Kill()
	link := connect(queue.Config{URL: b.server.URL, MaxPayload: 500})
	b.open(link, spool.Options{})
	t.Run("lets a program start while Redis is away", func(t *testing.T) {
		b.push("a", "a1")
		b.server.Restart()
		b.run()
		b.drained()
		b.push("a", "a2")
		b.same("jobs of a", b.jids("a"), "a1 a2")
		b.same("kept jobs", b.spool.Stats().Kept, 1)
	})
	t.Run("has the form of its Config", func(t *testing.T) {
		b.same("MaxPayload", b.spool.Form().MaxPayload, 500)
	})
	t.Run("does not give up an attempt with the push that began it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := connect(queue.Config{URL: b.server.URL}).Store(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Run("gives many pushes one attempt to connect a second", func(t *testing.T) {
		away := connect(queue.Config{URL: "redis://127.0.0.1:1"})
		_, first := away.Store(t.Context())
		_, second := away.Store(t.Context())
		if first == nil || first != second || !strings.Contains(first.Error(), "127.0.0.1:1") {
			t.Errorf("%v, %v", first, second)
		}
	})
	t.Run("refuses a wrong address at once", func(t *testing.T) {
		if _, err := spool.Connect(queue.Config{URL: "http://x"}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("that is closed keeps pushes", func(t *testing.T) {
		link.Close()
		start := time.Now()
		b.push("a", "a3")
		b.same("kept jobs", b.spool.Stats().Kept, 2)
		if took := time.Since(start); took > time.Second {
			t.Errorf("a push took %v", took)
		}
	})
}
