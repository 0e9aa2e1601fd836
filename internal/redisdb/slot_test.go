package redisdb

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// slotOf12182 is the slot of the tag foo, whose owner is a:1. marked has the owners for which
// connections to other nodes were marked.
func slotOf12182() (s *slot, marked *[]string) {
	marked = new([]string)
	s = newSlot(Cluster{Seeds: []string{"a:1", "b:1", "c:1"}, Tag: "foo"}, &redis.Options{},
		func(owner string) { *marked = append(*marked, owner) })
	s.take([]SlotRange{{0, Slots - 1, []ClusterNode{{"a.example:1", "10.0.0.1:1"},
		{"b:1", "b:1"}}}})
	s.set("a:1")
	*marked = nil
	return s, marked
}

func TestSlot(t *testing.T) {
	for name, x := range map[string]struct {
		err    error
		owner  string
		marked []string
	}{
		"follows MOVED": {answer("MOVED 12182 b:1"), "b:1", []string{"b:1"}},
		"knows a node by its hostname": {answer("MOVED 12182 10.0.0.1:1"), "a.example:1",
			[]string{"a.example:1"}},
		"asks after MOVED without a host":    {answer("MOVED 12182 :1"), "", []string{""}},
		"does not follow another slot":       {answer("MOVED 7 b:1"), "a:1", nil},
		"does not follow ASK":                {answer("ASK 12182 b:1"), "a:1", nil},
		"asks after CLUSTERDOWN":             {answer("CLUSTERDOWN x"), "", []string{""}},
		"asks after READONLY":                {answer("READONLY x"), "", []string{""}},
		"asks after a connection has ended":  {io.EOF, "", nil},
		"stays after an answer":              {answer("WRONGTYPE x"), "a:1", nil},
		"stays after a command without one":  {redis.Nil, "a:1", nil},
		"stays if no connection was free":    {redis.ErrPoolTimeout, "a:1", nil},
		"stays if the command was not heard": {redis.ErrClosed, "a:1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, marked := slotOf12182()
			s.learn(x.err)
			if s.known() != x.owner || !slices.Equal(*marked, x.marked) {
				t.Errorf("owner %q, marked %q, want %q, %q", s.known(), *marked, x.owner, x.marked)
			}
		})
	}
	t.Run("asks the node that failed last", func(t *testing.T) {
		s, _ := slotOf12182()
		s.doubt("a:1")
		for range 20 {
			if list := s.order(); list[len(list)-1] != "a:1" || len(list) != 4 {
				t.Fatalf("asked are %q", list)
			}
		}
	})
}

// hook is what the slot makes of a client whose commands end with errs, one after another. It
// returns how often a command was sent.
func hook(t *testing.T, errs ...error) (sent int, err error) {
	t.Helper()
	s, _ := slotOf12182()
	run := s.ProcessHook(func(context.Context, redis.Cmder) error {
		sent++
		return errs[min(sent, len(errs))-1]
	})
	return sent, run(t.Context(), redis.NewCmd(t.Context(), "x"))
}

func TestSlotHook(t *testing.T) {
	for name, x := range map[string]struct {
		errs []error
		sent int
		fine bool
	}{
		"sends a refused command again": {[]error{answer("MOVED 12182 b:1"), nil}, 2,
			true},
		"sends again while the slot moves": {[]error{answer("ASK 12182 b:1"),
			answer("TRYAGAIN x"), nil}, 3, true},
		"does not repeat a command without end": {[]error{answer("MOVED 12182 b:1")}, 2, false},
		"never repeats one whose reply is lost": {[]error{io.EOF}, 1, false},
		"never repeats one that timed out":      {[]error{context.DeadlineExceeded}, 1, false},
		"does not repeat what nobody serves":    {[]error{answer("CLUSTERDOWN x")}, 1, false},
		"does not repeat after MOVED, then EOF": {[]error{answer("MOVED 12182 b:1"), io.EOF}, 2,
			false},
		"takes an ordinary error as the outcome": {[]error{answer("ERR x")}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			sent, err := hook(t, x.errs...)
			if sent != x.sent || (err == nil) != x.fine {
				t.Errorf("sent %d times, %v, want %d times", sent, err, x.sent)
			}
		})
	}
	t.Run("sends only the refused end of a pipeline again", func(t *testing.T) {
		s, _ := slotOf12182()
		var sizes []int
		run := s.ProcessPipelineHook(func(_ context.Context, cmds []redis.Cmder) error {
			sizes = append(sizes, len(cmds))
			if len(sizes) == 1 {
				cmds[1].SetErr(answer("MOVED 12182 b:1"))
				cmds[2].SetErr(answer("MOVED 12182 b:1"))
				return cmds[1].Err()
			}
			return nil
		})
		if err := run(t.Context(), commands(nil, nil, nil)); err != nil ||
			!slices.Equal(sizes, []int{3, 2}) {
			t.Errorf("sizes %v, %v, want 3 and 2", sizes, err)
		}
	})
	t.Run("sends a whole refused transaction again", func(t *testing.T) {
		s, _ := slotOf12182()
		n := 0
		run := s.ProcessPipelineHook(func(_ context.Context, cmds []redis.Cmder) error {
			if n++; n == 1 {
				cmds[1].SetErr(answer("MOVED 12182 b:1"))
				cmds[2].SetErr(answer("EXECABORT x"))
				return cmds[2].Err()
			}
			return nil
		})
		cmds := []redis.Cmder{redis.NewStatusCmd(t.Context(), "multi"),
			redis.NewCmd(t.Context(), "x"), redis.NewSliceCmd(t.Context(), "exec")}
		if err := run(t.Context(), cmds); err != nil || n != 2 {
			t.Errorf("sent %d times, %v, want 2", n, err)
		}
	})
}

func TestStaleLinks(t *testing.T) {
	l := &links{silence: replyTimeout, open: map[*link]bool{}}
	// a pipe has no socket, as TLS has none
	dial := l.dial(func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		return near, nil
	})
	open := func(addr string) net.Conn {
		c, err := limitReplies(dial, 1)(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	healthy := func(c net.Conn) bool {
		socket, err := c.(syscall.Conn).SyscallConn()
		return err == nil && socket.Read(func(uintptr) bool { return true }) == nil
	}
	a, b := open("a:1"), open("b:1")
	if !healthy(a) || !healthy(b) {
		t.Fatal("a new connection counts as stale")
	}
	l.stale("b:1")
	if healthy(a) || !healthy(b) {
		t.Errorf("healthy: %v, %v, want only the owner's", healthy(a), healthy(b))
	}
	if _, err := a.(syscall.Conn).SyscallConn(); !errors.Is(err, errOld) {
		t.Errorf("%v, want the reason", err)
	}
}
