package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue/inspect"
)

// onLine is an output that calls do with each line.
type onLine struct {
	bytes.Buffer
	do func(line string)
}

// Write is one line of the program.
func (o *onLine) Write(b []byte) (int, error) {
	o.do(string(b))
	return o.Buffer.Write(b)
}

func TestDrain(t *testing.T) {
	s := withRedis(t)
	s.process("h:1:one")
	s.process("h:2:two")
	t.Run("waits until the processes are quiet and no thread is busy", func(t *testing.T) {
		out := &onLine{do: func(line string) {
			if strings.HasPrefix(line, "2 threads") {
				s.raw.HSet(t.Context(), "h:1:one", "busy", 0, "quiet", "true")
				s.raw.SRem(t.Context(), "processes", "h:2:two")
			}
		}}
		var errs bytes.Buffer
		code := run(context.Background(), []string{"quiet", "h", "--wait"}, strings.NewReader(""),
			out, &errs, func(key string) string { return s.vars[key] })
		want := "TSTP → h:1:one\nTSTP → h:2:two\n2 threads are busy, 2 processes are not quiet " +
			"yet\ndrained: no thread of 2 processes is busy\n"
		if code != 0 || out.String() != want {
			t.Errorf("exit code %d, %s%s", code, out, &errs)
		}
	})
	t.Run("fails after a time", func(t *testing.T) {
		s := s.of(t)
		s.process("h:2:two")
		s.fails(1, "after 1ms, 1 threads are busy, 1 processes are not quiet yet; the processes",
			"quiet h:2:two --wait --timeout 1ms")
		s.fails(2, "--timeout: want more than 0", "quiet h --wait --timeout 0s")
	})
	t.Run("does not mix its progress with JSON", func(t *testing.T) {
		out, errs, _ := s.of(t).run("quiet", "h:2:two", "--wait", "--timeout", "1ms", "--json")
		if !strings.HasPrefix(out, "{") || !strings.Contains(errs, "1 threads are busy") {
			t.Errorf("%s%s", out, errs)
		}
	})
}

func TestDrainOf(t *testing.T) {
	list := []inspect.Process{{Identity: "a"}, {Identity: "b"}, {Identity: "ended"}}
	now := []inspect.Process{{Identity: "a", Busy: 2, Quiet: true}, {Identity: "b", Busy: 1},
		{Identity: "other", Busy: 9}}
	if got := drainOf(eachOnce(list), eachOnce(now)); got != (drained{3, 1}) {
		t.Errorf("%+v", got)
	}
}
