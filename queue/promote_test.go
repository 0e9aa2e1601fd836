package queue_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// narrow is a slow or broken link to a Redis.
type narrow struct {
	perSecond int    // the most bytes of replies; 0: no limit
	broken    string // the link breaks when a request holds this text, if it is not empty
}

// store opens a Store that reaches the server through the link.
func (n narrow) store(t *testing.T, s *redistest.Server) *queue.Store {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", s.Addr)
			if err != nil {
				client.Close()
				continue
			}
			all.Go(func() { n.requests(client, server) })
			all.Go(func() { n.replies(client, server) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return s.Store(func(c *queue.Config) {
		c.URL = strings.Replace(c.URL, s.Addr, l.Addr().String(), 1)
	})
}

func (n narrow) requests(client, server net.Conn) {
	defer server.Close()
	defer client.Close()
	b := make([]byte, 1<<20)
	for {
		got, err := client.Read(b)
		if err != nil {
			return
		}
		if n.broken != "" && bytes.Contains(b[:got], []byte(n.broken)) {
			return
		}
		if _, err := server.Write(b[:got]); err != nil {
			return
		}
	}
}

func (n narrow) replies(client, server net.Conn) {
	defer server.Close()
	defer client.Close()
	b := make([]byte, 100_000)
	for start, sent := time.Now(), 0; ; {
		got, err := server.Read(b)
		if err != nil {
			return
		}
		if n.perSecond > 0 {
			due := start.Add(time.Duration(sent) * time.Second / time.Duration(n.perSecond))
			if wait := time.Until(due); wait > 0 {
				<-time.After(wait)
			} else {
				start, sent = time.Now(), 0
			}
		}
		if _, err := client.Write(b[:got]); err != nil {
			return
		}
		sent += got
	}
}

// due adds a job that is due, with an argument of size bytes, to a set.
func (f *fixture) due(set, q, jid string, size int) {
	f.Helper()
	arg := strings.Repeat("x", size)
	raw := fmt.Sprintf(`{"class":"A","queue":"%s","jid":"%s","args":["%s"]}`, q, jid, arg)
	score := float64(1000 + f.raw.ZCard(f.Context(), set).Val())
	if err := f.raw.ZAdd(f.Context(), set, redis.Z{Score: score, Member: raw}).Err(); err != nil {
		f.Fatal(err)
	}
}

func TestPromote(t *testing.T) {
	t.Run("moves due jobs to the back of their queues, and keeps the others", testPromoteDue)
	t.Run("moves large jobs over a slow link, and the jobs behind them", func(t *testing.T) {
		f := newFixture(t)
		for i := range 14 {
			f.due("retry", "a", fmt.Sprint("large", i), 6_000_000)
		}
		f.due("retry", "a", "small", 1)
		store := narrow{perSecond: 20_000_000}.store(t, f.server)
		moved, due, err := store.Promote(t.Context(), "retry", time.Now(), 100)
		if moved != 15 || due != 15 || err != nil {
			t.Errorf("moved %d of %d, %.200v", moved, due, err)
		}
		f.at("queue:a=15")
	})
	t.Run("passes over a member that cannot be moved", func(t *testing.T) {
		f := newFixture(t)
		for i := range 60 {
			f.due("retry", "a", fmt.Sprint("job", i), 1)
		}
		f.due("retry", "a", "the-broken-one", 1)
		for i := range 60 {
			f.due("retry", "a", fmt.Sprint("behind", i), 1)
		}
		store := narrow{broken: "the-broken-one"}.store(t, f.server)
		for range 3 {
			if _, _, err := store.Promote(t.Context(), "retry", time.Now(), 1000); err == nil {
				t.Error("no error about the broken member")
			}
		}
		f.at("queue:a=120 retry=1")
	})
}

func testPromoteDue(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	f.put("queue:a", `{"class":"A","jid":"before"}`)
	f.raw.ZAdd(t.Context(), "retry",
		redis.Z{Score: 1, Member: `{"class":"A","queue":"a","jid":"x","at":5,"n":1.0,` +
			`"created_at":1795345820974}`},
		redis.Z{Score: 2, Member: `no job`},
		redis.Z{Score: float64(now.Unix() + 60), Member: `{"class":"A","queue":"a","jid":"later"}`})
	moved, due, err := f.store.Promote(t.Context(), "retry", now, 100)
	if err != nil || moved != 2 || due != 2 {
		t.Fatalf("moved %d of %d, %v", moved, due, err)
	}
	f.at("dead=1 queue:a=2 retry=1")
	want := fmt.Sprintf(`{"class":"A","queue":"a","jid":"x","n":1.0,"created_at":1795345820974,`+
		`"retry":true,"enqueued_at":%d}`, now.UnixMilli())
	same(t, "the payload", f.raw.LIndex(t.Context(), "queue:a", 0).Val(), want)
	same(t, "the order", f.jids(f.fetch(2)), "before x")
	same(t, "the dead set", fmt.Sprint(f.raw.ZRange(t.Context(), "dead", 0, -1).Val()), "[no job]")
}

func TestPromoteWithWrongTypes(t *testing.T) {
	t.Run("keeps the jobs for those keys, and moves the others", func(t *testing.T) {
		f := newFixture(t)
		ctx := t.Context()
		f.spoil("queue:x", "dead")
		for i := range 3 {
			f.due("retry", "x", fmt.Sprint("x", i), 1)
		}
		f.raw.ZAdd(ctx, "retry", redis.Z{Score: 1, Member: "no job"})
		f.due("retry", "a", "a0", 1)
		moved, due, err := f.store.Promote(ctx, "retry", time.Now(), 100)
		if moved != 1 || due != 5 || !says(err, "dead, queue:x") {
			t.Errorf("moved %d of %d, %v", moved, due, err)
		}
		f.at("dead=0 queue:a=1 queue:x=0 retry=4")
		f.raw.Del(ctx, "queue:x", "dead")
		moved, _, err = f.store.Promote(ctx, "retry", time.Now(), 100)
		if moved != 4 || err != nil {
			t.Errorf("after the keys were deleted: moved %d, %v", moved, err)
		}
		f.at("dead=1 queue:a=1 queue:x=3")
	})
	t.Run("keeps all jobs while the set of queues has a wrong type", func(t *testing.T) {
		f := newFixture(t)
		f.spoil("queues")
		f.due("schedule", "a", "a0", 1)
		f.raw.ZAdd(t.Context(), "schedule", redis.Z{Score: 1, Member: "no job"})
		_, _, err := f.store.Promote(t.Context(), "schedule", time.Now(), 100)
		if !says(err, "queues") {
			t.Error(err)
		}
		f.at("dead=1 schedule=1")
	})
}
