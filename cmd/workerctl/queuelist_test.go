package main

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue/inspect"
)

func TestQueues(t *testing.T) {
	s := withRedis(t)
	s.process("h:1:one")
	s.ok("", "push A --queue push")
	s.ok("", "push A --queue other")
	s.ok("", "push A --queue full")
	s.ok("paused", "queue full --pause")
	t.Run("have their states, processes and threads", func(t *testing.T) {
		out := strings.Join(strings.Fields(s.of(t).ok("", "queues")), " ")
		for _, want := range []string{"paused 0 0 0 0 – – –", "unserved 0 0 0 0 – – –",
			"1 5 1 0 – – –"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	})
	t.Run("have the names of the processes where there is room", func(t *testing.T) {
		s := s.of(t)
		s.ok("h:1:one\n", "queues -o wide")
		out := s.ok(`"processes":["h:1:one"]`, "queues -o jsonl")
		for _, want := range []string{`"name":"full"`, `"state":"unserved"`,
			`"in_per_second":null`} {
			if !strings.Contains(out, want) {
				t.Errorf("no %s in\n%s", want, out)
			}
		}
	})
}

func TestEmptyIn(t *testing.T) {
	rate, seconds := 12.34, 90.0
	for want, q := range map[string]inspect.QueueStatus{
		"":      {},
		unknown: {QueueInfo: inspect.QueueInfo{Size: 1}},
		"never": {QueueInfo: inspect.QueueInfo{Size: 1}, In: &rate},
		"1m30s": {QueueInfo: inspect.QueueInfo{Size: 1}, In: &rate, Empty: &seconds},
	} {
		if got := emptyIn(q); got != want {
			t.Errorf("%+v: %q, want %q", q, got, want)
		}
	}
}

func TestPerSecond(t *testing.T) {
	small, large := 1.26, 12.3
	for want, rate := range map[string]*float64{unknown: nil, "1.3": &small, "12": &large} {
		if got := rateText(rate); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
