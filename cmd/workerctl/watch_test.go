package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// looks is an output that ends a watch after so many looks.
type looks struct {
	bytes.Buffer
	left int
	stop context.CancelFunc
}

func (l *looks) Write(b []byte) (int, error) {
	if l.left--; l.left == 0 {
		l.stop()
	}
	return l.Buffer.Write(b)
}

func TestWatch(t *testing.T) {
	s := withRedis(t)
	s.ok("", "push A --queue full")
	watched := func(t *testing.T, columns int) string {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		out := &looks{left: 2, stop: stop}
		c := &call{in: strings.NewReader(""), out: out, errOut: out, columns: columns,
			env: s.environment()}
		if err := dispatch(ctx, c, []string{"queues", "--watch=0.5"}); err != nil {
			t.Error(err)
		}
		return out.String()
	}
	t.Run("shows again until it is ended", func(t *testing.T) {
		text := watched(t, 0)
		if strings.Count(text, "full") != 2 || strings.Contains(text, "\x1b") {
			t.Errorf("%q", text)
		}
	})
	t.Run("replaces the look before at a terminal", func(t *testing.T) {
		if text := watched(t, 80); strings.Count(text, "\x1b[H\x1b[2JQUEUE") != 2 {
			t.Errorf("%q", text)
		}
	})
	t.Run("is refused for what changes something, and for a time that is too short",
		func(t *testing.T) {
			s := s.of(t)
			s.fails(2, "changes nothing", "queue full --pause --watch")
			s.fails(2, "changes nothing", "processes --clean --watch=3")
			s.fails(2, "want seconds from 0.5", "queues --watch=0.1")
			s.fails(2, "unknown flag: --watch; it is a flag of", "push A --watch")
		})
}
