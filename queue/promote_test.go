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
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// narrow is a link to a Redis that lets replies through at a rate, and that breaks when a
// request holds a text.
type narrow struct {
	perSecond int // bytes of replies; 0: no limit
	broken    string
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
		if err != nil || n.broken != "" && bytes.Contains(b[:got], []byte(n.broken)) {
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

// due puts a job that is due into a set.
func (f *fixture) due(set, q, jid string, size int) {
	f.Helper()
	arg := strings.Repeat("x", size)
	raw := fmt.Sprintf(`{"class":"A","queue":"%s","jid":"%s","args":["%s"]}`, q, jid, arg)
	score := float64(1000 + f.raw.ZCard(f.Context(), set).Val())
	if err := f.raw.ZAdd(f.Context(), set, redis.Z{Score: score, Member: raw}).Err(); err != nil {
		f.Fatal(err)
	}
}

// says reports whether an error's text has all of the parts.
func says(err error, parts ...string) bool {
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			return false
		}
	}
	return true
}

func TestPromote(t *testing.T) {
	t.Run("moves what is large over a slow link, and what is due behind it", func(t *testing.T) {
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
				t.Error("no word of the broken member")
			}
		}
		f.at("queue:a=120 retry=1")
	})
	t.Run("keeps what goes to a key of the wrong type, and nothing else", func(t *testing.T) {
		f := newFixture(t)
		ctx := t.Context()
		f.raw.Set(ctx, "queue:x", "of another program", 0)
		f.raw.Set(ctx, "dead", "of another program", 0)
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
		if moved, _, err := f.store.Promote(ctx, "retry", time.Now(), 100); moved != 4 ||
			err != nil {
			t.Errorf("after the keys were mended: moved %d, %v", moved, err)
		}
		f.at("dead=1 queue:a=1 queue:x=3")
	})
	t.Run("keeps all jobs while the set of queues has the wrong type", func(t *testing.T) {
		f := newFixture(t)
		f.raw.Set(t.Context(), "queues", "of another program", 0)
		f.due("schedule", "a", "a0", 1)
		f.raw.ZAdd(t.Context(), "schedule", redis.Z{Score: 1, Member: "no job"})
		_, _, err := f.store.Promote(t.Context(), "schedule", time.Now(), 100)
		if !says(err, "queues") {
			t.Error(err)
		}
		f.at("dead=1 schedule=1")
	})
}

func TestRefusedMoves(t *testing.T) {
	t.Run("of a set leave the entry there and name the key", func(t *testing.T) {
		f := newFixture(t)
		ctx := t.Context()
		f.raw.Set(ctx, "queue:x", "of another program", 0)
		f.raw.Set(ctx, "dead", "of another program", 0)
		f.due("retry", "x", "x0", 1)
		f.due("retry", "a", "a0", 1)
		set := inspect.New(f.store).RetrySet()
		for name, op := range map[string]func(queue.Entry) (int, error){
			"queue:x": func(e queue.Entry) (int, error) { return set.Retry(ctx, e) },
			"queue:":  func(e queue.Entry) (int, error) { return set.AddToQueue(ctx, e) },
			"dead":    func(e queue.Entry) (int, error) { return set.Kill(ctx, e) },
		} {
			e, err := set.Find(ctx, "x0")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := op(e); n != 0 || !says(err, name, "stay") {
				t.Errorf("%s: moved %d, %v", name, n, err)
			}
			f.at("dead=0 queue:x=0 retry=2")
		}
		if n, err := set.All(ctx, set.Retry); n != 1 || !says(err, "queue:x") {
			t.Errorf("all: moved %d, %v", n, err)
		}
		f.at("dead=0 queue:a=1 queue:x=0 retry=1")
	})
	t.Run("of held jobs leave them there and go on with the others", func(t *testing.T) {
		f := newFixture(t)
		hold(f, "b", "New", 3)
		hold(f, "a", "New", 3)
		hold(f, "a", "Other", 1)
		f.raw.Del(t.Context(), "queue:b")
		f.raw.Set(t.Context(), "queue:b", "of another program", 0)
		f.raw.Set(t.Context(), "kyu:hold:Broken", "of another program", 0)
		classes, queues := []string{"Broken", "New", "Other"}, []string{"a", "b"}
		moved, err := f.store.Release(t.Context(), classes, queues, 2)
		if moved != 4 || !says(err, "queue:b", "kyu:hold:Broken") {
			t.Errorf("moved %d, %v", moved, err)
		}
		f.raw.Del(t.Context(), "kyu:hold:Broken")
		f.at("kyu:hold:New=3 queue:a=4 queue:b=0")
	})
}
