package queue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// hung is a bell on queue b of a capsule that serves all three queues.
type hung struct {
	*fixture
	bell *queue.Bell
	down chan queue.Rung
	err  error
}

func (f *fixture) hang() *hung {
	f.Helper()
	h := &hung{fixture: f, bell: f.owner.Bell("b"), down: make(chan queue.Rung, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var rung queue.Rung
		rung, h.err = h.bell.Ring(f.Context(), f.store.Tokens(1), abc)
		h.down <- rung
	}()
	f.Cleanup(func() { h.bell.Unhang(f.Context()); <-done; h.bell.Close() })
	f.until("it hangs", func() bool {
		return strings.Contains(f.raw.ClientList(f.Context()).Val(), "cmd=blmove")
	})
	return h
}

func (f *fixture) until(what string, yes func() bool) {
	f.Helper()
	for start := time.Now(); !yes(); {
		if time.Since(start) > 10*time.Second {
			f.Fatalf("not within 10 s: %s", what)
		}
	}
}

// rung waits for the bell to come down.
func (h *hung) rung() queue.Rung {
	h.Helper()
	select {
	case r := <-h.down:
		return r
	case <-time.After(10 * time.Second):
		h.Fatal("the bell does not come down")
		return queue.Rung{}
	}
}

// both pushes two jobs at the same moment.
func (f *fixture) both(q1, q2 string) {
	f.raw.TxPipelined(f.Context(), func(p redis.Pipeliner) error {
		for _, q := range []string{q1, q2} {
			p.LPush(f.Context(), "queue:"+q, `{"class":"Job","jid":"`+q+`","args":[]}`)
		}
		return nil
	})
}

func TestBell(t *testing.T) {
	t.Run("it brings the job that rings, without another command", func(t *testing.T) {
		f := newFixture(t)
		h := f.hang()
		f.push("b", 1)
		r := h.rung()
		if h.err != nil || !r.Landed || r.Job == nil || r.Job.Queue != "b" {
			t.Fatalf("rang with %+v, %v", r, h.err)
		}
		f.at("inflight=1")
		if !f.settle(r.Job, queue.Done, "") {
			t.Error("what it brought is not held under its token")
		}
	})
	t.Run("it leaves the job where it landed", func(t *testing.T) {
		large := `{"class":"Job","jid":"large","args":["` + strings.Repeat("x", 1<<10) + `"]}`
		for name, happens := range map[string]func(f *fixture){
			"while a job waits in a queue before its own": func(f *fixture) { f.both("b", "a") },
			"while another waits in its own":              func(f *fixture) { f.both("b", "b") },
			"while one has landed before": func(f *fixture) {
				f.raw.LPush(f.Context(), "kyu:{queue:b}:landing:h:1:a", "x")
				f.push("b", 1)
			},
			"while its queue is paused": func(f *fixture) {
				f.raw.SAdd(f.Context(), "paused", "b")
				f.push("b", 1)
			},
			"without a lease": func(f *fixture) {
				f.raw.ZAdd(f.Context(), "kyu:leases", redis.Z{Score: -1, Member: "h:1:a"})
				f.push("b", 1)
			},
			"when Redis has forgotten the script": func(f *fixture) {
				f.raw.ScriptFlush(f.Context())
				f.raw.LPush(f.Context(), "queue:b", "{}")
			},
			"while its hash holds a wrong type": func(f *fixture) {
				f.raw.Set(f.Context(), "kyu:{queue:b}:inflight:h:1:a", "x", 0)
				f.push("b", 1)
			},
			"when it is too large": func(f *fixture) { f.raw.LPush(f.Context(), "queue:b", large) },
		} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t)
				if name == "when it is too large" {
					f.store = f.server.Store(func(c *queue.Config) { c.MaxTaken = 1 << 10 })
					f.owner = f.newOwner("h:1:a")
				}
				h := f.hang()
				happens(f)
				r := h.rung()
				if r.Job != nil || r.Landed == (h.err != nil) || h.err != nil &&
					!errors.Is(h.err, redisdb.ErrLarge) {
					t.Errorf("rang with %+v, %v", r, h.err)
				}
				if n := f.raw.LLen(t.Context(), "kyu:{queue:b}:landing:h:1:a").Val(); n == 0 {
					t.Error("nothing lies in the landing list")
				}
			})
		}
	})
	t.Run("unhung it comes down at once, and takes nothing", func(t *testing.T) {
		f := newFixture(t)
		h := f.hang()
		f.push("a", 1) // it does not hang there
		h.bell.Unhang(t.Context())
		if r := h.rung(); h.err != nil || r.Landed || r.Job != nil {
			t.Errorf("came down with %+v, %v", r, h.err)
		}
		f.at("queue:a=1")
	})
	t.Run("unhung it brings what landed before", func(t *testing.T) {
		f := newFixture(t)
		h := f.hang()
		f.push("a", 1)
		f.raw.LMove(t.Context(), "queue:a", "kyu:{queue:b}:landing:h:1:a", "RIGHT", "LEFT")
		h.bell.Unhang(t.Context())
		if r := h.rung(); r.Landed || r.Job == nil {
			t.Errorf("came down with %+v, %v", r, h.err)
		}
	})
	t.Run("a queue of the wrong type is told", func(t *testing.T) {
		f := newFixture(t)
		f.raw.Set(t.Context(), "queue:b", "x", 0)
		bell := f.owner.Bell("b")
		defer bell.Close()
		rung, err := bell.Ring(t.Context(), f.store.Tokens(1), abc)
		if !errors.Is(err, queue.ErrWrongType) || rung.Landed {
			t.Errorf("rang with %+v, %v", rung, err)
		}
	})
}
