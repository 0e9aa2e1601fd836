package queue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
)

// hung is a bell on queue b, of an owner that serves all three queues.
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
	testwait.Until(f.T, 10*time.Second, "the bell hangs", func() bool {
		return strings.Contains(f.raw.ClientList(f.Context()).Val(), "cmd=blmove")
	})
	return h
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
	t.Run("delivers the job that rings, without another call", func(t *testing.T) {
		f := newFixture(t)
		h := f.hang()
		f.push("b", 1)
		r := h.rung()
		if h.err != nil || !r.Landed || r.Job == nil {
			t.Fatalf("rang with %+v, %v", r, h.err)
		}
		same(t, "the queue", r.Job.Queue, "b")
		f.at("inflight=1")
		if !f.settle(r.Job, queue.Done, "") {
			t.Error("the job is not in flight under its token")
		}
	})
	t.Run("comes down at once and takes nothing when it is unhung", func(t *testing.T) {
		f := newFixture(t)
		h := f.hang()
		f.push("a", 1) // another queue
		h.bell.Unhang(t.Context())
		if r := h.rung(); h.err != nil || r.Landed || r.Job != nil {
			t.Errorf("came down with %+v, %v", r, h.err)
		}
		f.at("queue:a=1")
	})
	t.Run("delivers a job that landed before when it is unhung", func(t *testing.T) {
		f := newFixture(t)
		h := f.hang()
		f.push("a", 1)
		f.raw.LMove(t.Context(), "queue:a", "kyu:{queue:b}:landing:h:1:a", "RIGHT", "LEFT")
		h.bell.Unhang(t.Context())
		if r := h.rung(); r.Landed || r.Job == nil {
			t.Errorf("came down with %+v, %v", r, h.err)
		}
	})
	t.Run("returns ErrWrongType for a queue of a wrong type", func(t *testing.T) {
		f := newFixture(t)
		f.spoil("queue:b")
		bell := f.owner.Bell("b")
		defer bell.Close()
		rung, err := bell.Ring(t.Context(), f.store.Tokens(1), abc)
		if !errors.Is(err, queue.ErrWrongType) || rung.Landed {
			t.Errorf("rang with %+v, %v", rung, err)
		}
	})
	t.Run("hangs again after a job that is too large", testBellOverMaxTaken)
}

func TestBellLeavesJobLanded(t *testing.T) {
	for name, event := range map[string]func(f *fixture){
		"while a job waits in a queue before its own": func(f *fixture) { f.both("b", "a") },
		"while another job waits in its own queue":    func(f *fixture) { f.both("b", "b") },
		"while a job landed before": func(f *fixture) {
			f.raw.LPush(f.Context(), "kyu:{queue:b}:landing:h:1:a", "x")
			f.push("b", 1)
		},
		"while its queue is paused": func(f *fixture) {
			f.store.Pause(f.Context(), "b")
			f.push("b", 1)
		},
		"without a lease": func(f *fixture) {
			f.fence("h:1:a")
			f.push("b", 1)
		},
		"when Redis has lost the script": func(f *fixture) {
			f.raw.ScriptFlush(f.Context())
			f.raw.LPush(f.Context(), "queue:b", "{}")
		},
		"while the in-flight hash has a wrong type": func(f *fixture) {
			f.spoil("kyu:{queue:b}:inflight:h:1:a")
			f.push("b", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			h := f.hang()
			event(f)
			if r := h.rung(); h.err != nil || !r.Landed || r.Job != nil {
				t.Errorf("rang with %+v, %v", r, h.err)
			}
			if f.raw.LLen(t.Context(), "kyu:{queue:b}:landing:h:1:a").Val() == 0 {
				t.Error("the landing list is empty")
			}
		})
	}
}

func testBellOverMaxTaken(t *testing.T) {
	f := newFixture(t)
	f.owner = f.limited()
	h := f.hang()
	f.put("queue:b", large)
	if r := h.rung(); !errors.Is(h.err, redisdb.ErrLarge) || r.Job != nil {
		t.Fatalf("rang with %+v, %v", r, h.err)
	}
	f.at("inflight=1")
	got, err := f.owner.Fetch(t.Context(), queue.FetchRequest{Queues: abc, Want: 1,
		First: f.store.Tokens(1), Adopt: []int{1}})
	if err != nil || len(got.Jobs) != 0 || got.Oversized != 1 {
		t.Errorf("fetched %+v, %v", got, err)
	}
	f.at("dead=1")
	f.deadIsLarge()
	f.push("b", 1)
	if r, err := h.bell.Ring(t.Context(), f.store.Tokens(1), abc); err != nil || r.Job == nil {
		t.Errorf("then rang with %+v, %v", r, err)
	}
}
