package queue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
)

func TestPushError(t *testing.T) {
	t.Run("is ErrUnknown after a lost reply, and the push is not sent again", testPushLostReply)
	t.Run("says that nothing was pushed without a server", func(t *testing.T) {
		f := newFixture(t)
		f.server.Kill()
		_, err := f.client.Push(t.Context(), "Job", nil, queue.Options{}) // on a connection
		if err == nil || (errors.Is(err, queue.ErrUnknown) && !says(err, "EOF")) {
			t.Errorf("the first push: %v", err)
		}
		_, err = f.client.Push(t.Context(), "Job", nil, queue.Options{})
		if errors.Is(err, queue.ErrUnknown) || !says(err, "nothing was pushed") {
			t.Errorf("the second push: %v", err)
		}
	})
}

func testPushLostReply(t *testing.T) {
	f := newFixture(t)
	proxy := faultproxy.Start(t, f.server.Addr)
	store, err := queue.Open(t.Context(), queue.Config{URL: "redis://" + proxy.Addr})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c := queue.NewClient(store)
	proxy.DropReply(faultproxy.Script("push"), 1)
	jid, err := c.Push(t.Context(), "Job", nil, queue.Options{Queue: "a", Idempotent: true})
	if !errors.Is(err, queue.ErrUnknown) || jid == "" {
		t.Fatalf("push: %q %v, want ErrUnknown and the JID", jid, err)
	}
	f.at("queue:a=1")
	if _, err := c.Push(t.Context(), "Job", nil, queue.Options{Queue: "a", Idempotent: true,
		JID: jid}); err != nil {
		t.Fatal(err)
	}
	f.at("queue:a=1") // the repeated push stored nothing
	if ttl := f.raw.TTL(t.Context(), "kyu:pushed:"+jid).Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("the marker lives for %v", ttl)
	}
}
