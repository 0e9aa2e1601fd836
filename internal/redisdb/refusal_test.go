package redisdb

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// answer is an error that Redis sent.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestRefusal(t *testing.T) {
	for text, want := range map[string]refusal{
		"MOVED 1 h:1":                  moved,
		"ASK 1 h:1":                    moving,
		"TRYAGAIN Multiple keys":       moving,
		"CLUSTERDOWN Hash slot":        unserved,
		"MASTERDOWN Link":              unserved,
		"READONLY You can't":           unserved,
		"UNBLOCKED force":              unserved,
		"CROSSSLOT Keys":               noRefusal,
		"ERR MOVED is a word of a job": noRefusal,
	} {
		if got, _ := readRefusal(answer(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if got, _ := readRefusal(errors.New("MOVED 1 h:1")); got != noRefusal {
		t.Error("an error that Redis did not send counts as a refusal")
	}
}

func TestRetry(t *testing.T) {
	t.Run("ends when the same node answers twice", func(t *testing.T) {
		r := new(retry)
		if pause, again := r.next(answer("MOVED 1 a:1")); pause != 0 || !again {
			t.Errorf("after the first MOVED: %v after %v, want at once", again, pause)
		}
		if _, again := r.next(answer("MOVED 1 a:1")); again {
			t.Error("it goes on")
		}
	})
	t.Run("ends when two nodes name each other", func(t *testing.T) {
		r, n := new(retry), 0
		for _, text := range []string{"MOVED 1 a:1", "MOVED 1 b:1", "MOVED 1 a:1", "MOVED 1 b:1",
			"MOVED 1 a:1", "MOVED 1 b:1", "MOVED 1 a:1"} {
			if _, again := r.next(answer(text)); again {
				n++
			}
		}
		if n != mostMoves {
			t.Errorf("sent again %d times, want %d", n, mostMoves)
		}
	})
	t.Run("waits a bounded time for a slot that moves", func(t *testing.T) {
		r, all := new(retry), time.Duration(0)
		for {
			pause, again := r.next(answer("TRYAGAIN x"))
			if !again {
				break
			}
			all += pause
		}
		if all < 2*time.Second || all > 3*time.Second {
			t.Errorf("%v in all, want 2 s to 3 s", all)
		}
	})
	t.Run("is for refusals only", func(t *testing.T) {
		for _, err := range []error{errors.New("EOF"), context.DeadlineExceeded, redis.Nil,
			answer("CLUSTERDOWN x"), answer("ERR x")} {
			if _, again := new(retry).next(err); again {
				t.Errorf("%v is sent again", err)
			}
		}
	})
}

func commands(errs ...error) (list []redis.Cmder) {
	for _, err := range errs {
		c := redis.NewCmd(context.Background(), "x")
		c.SetErr(err)
		list = append(list, c)
	}
	return list
}

func TestRefusedTail(t *testing.T) {
	no, lost := answer("MOVED 1 a:1"), errors.New("EOF")
	for name, x := range map[string]struct {
		cmds []redis.Cmder
		from int
	}{
		"all were refused":               {commands(no, no), 0},
		"the last were refused":          {commands(nil, redis.Nil, no, no), 2},
		"none was refused":               {commands(nil, nil), 2},
		"one that was refused, then run": {commands(no, nil), 2},
		"one that was refused between":   {commands(nil, no, nil, no), 4},
		"a reply is lost behind":         {commands(no, lost), 2},
	} {
		t.Run(name, func(t *testing.T) {
			if from, _ := refusedTail(x.cmds); from != x.from {
				t.Errorf("from %d, want %d", from, x.from)
			}
		})
	}
}
