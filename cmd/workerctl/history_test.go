package main

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/mattn/go-runewidth"
)

// mark writes a point of a queue into a ring, ago slots before the present one.
func (s *terminal) mark(q string, ring redisdb.Ring, ago int64, numbers ...uint32) {
	s.Helper()
	now, err := s.raw.Time(s.Context()).Result()
	if err != nil {
		s.Fatal(err)
	}
	slot := now.Unix()/int64(ring.Step.Seconds()) - ago
	b := binary.BigEndian.AppendUint32(nil, uint32(slot))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	key := redisdb.NewKeyspace("").QueueHistory(q, ring)
	at := slot % int64(ring.Slots) * redisdb.PointBytes
	if err := s.raw.SetRange(s.Context(), key, at, string(b)).Err(); err != nil {
		s.Fatal(err)
	}
}

func TestHistory(t *testing.T) {
	s := withRedis(t)
	ten, hour := redisdb.QueueRings[0], redisdb.QueueRings[2]
	for ago := int64(359); ago >= 0; ago-- {
		if ago < 200 || ago > 250 {
			s.mark("push", ten, ago, uint32(4*(359-ago)), uint32(ago), 50, 50)
		}
		s.mark("push", hour, ago, 1, 0, 50, 50)
	}
	s.mark("old", hour, 30, 1, 0, 0, 0)
	s.raw.SAdd(t.Context(), "queues", "push", "old", "never")
	t.Run("draws length, age and flow of a queue", s.in2(drawsQueue))
	t.Run("fits the terminal, and 80 columns without one", s.in2(fitsTerminal))
	t.Run("prints points for programs", func(t *testing.T) {
		s := s.of(t)
		s.ok(`"step_seconds": 10,`, "history push -o json")
		s.ok(`"size_jobs": 1436,`, "history push -o json --since 1m")
		s.ok(`"out_jobs":50}`+"\n"+`{"at":"`, "history push -o jsonl --since 90m")
		s.ok(`"step_seconds": 3600,`, "history push --json --since 8d")
	})
	t.Run("refuses a queue without history, and names those that have one", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "queue never has no history: it is written by a Kyu worker that serves the "+
			"queue, from its start on; there is one of old, push", "history never")
		s.fails(1, "no worker that serves it wrote in the last 1h", "history old")
		s.fails(1, "try --since 7d", "history old")
		s.ok("old, the last 400d", "history old --since 400d")
	})
	t.Run("refuses a wrong call, and says what is right", func(t *testing.T) {
		s := s.of(t)
		for _, since := range []string{"1y", "0h", "401d", "-1h", "9999999d", "NaNd", "10s"} {
			s.fails(2, "want a time from 1m to 400d, such as 90m, 6h or 7d",
				"history push --since="+since)
		}
		s.fails(2, "want one queue, or --class CLASS", "history")
		s.fails(2, "got both", "history push --class A")
	})
	t.Run("shows it again with --watch", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		out := &looks{left: 2, stop: stop}
		c := &call{in: strings.NewReader(""), out: out, errOut: out, env: s.environment()}
		if err := dispatch(ctx, c, []string{"history", "push", "--watch=0.5"}); err != nil {
			t.Error(err)
		}
		if n := strings.Count(out.String(), "push, the last 1h"); n != 2 {
			t.Errorf("%d looks", n)
		}
	})
	t.Run("completes the queues that have a history", func(t *testing.T) {
		s.of(t).offering("old push", "history", "")
		s.of(t).offering("", "history", "push", "")
	})
}

// in2 returns a subtest at the same terminal.
func (s *terminal) in2(test func(*terminal)) func(*testing.T) {
	return func(t *testing.T) { test(s.of(t)) }
}

func drawsQueue(s *terminal) {
	out := s.ok("push, the last 1h\njobs that wait: now 1,436, at most 1,436\n", "history push")
	for _, want := range []string{"age of the oldest: now 0s, at most 35.9s\n",
		"in, jobs/s: now 5.", "out, jobs/s: now 5.0, at most 5.0\n", "    1,436 │  ", "        0 │",
		"·  no worker wrote\n", time.Now().Local().Format("MST") + "\n", "▇██", "··"} {
		if !strings.Contains(out, want) {
			s.Errorf("%q is not in\n%s", want, out)
		}
	}
	if n := strings.Count(out, "\n"); n > 24 {
		s.Errorf("%d lines, more than a terminal has:\n%s", n, out)
	}
}

func fitsTerminal(s *terminal) {
	for _, columns := range []int{0, 50, 80, 200} {
		for _, since := range []string{"1m", "10m", "1h", "6h", "30d"} {
			var out strings.Builder
			c := &call{in: strings.NewReader(""), out: &out, errOut: &out, columns: columns,
				env: s.environment()}
			if err := dispatch(s.Context(), c, []string{"history", "push", "--since",
				since}); err != nil {
				s.Error(err)
			}
			limit, widest := columns, 0
			if limit == 0 {
				limit = 80
			}
			for line := range strings.Lines(out.String()) {
				widest = max(widest, runewidth.StringWidth(line))
			}
			if widest > limit || widest < limit/2 {
				s.Errorf("%s on %d columns: a line has %d\n%s", since, columns, widest, &out)
			}
		}
	}
}

func TestHistoryOfClass(t *testing.T) {
	s := withRedis(t)
	store := s.redis.Store()
	m := &queue.ClassMetrics{}
	for range 3 {
		m.Add(2*time.Second, false)
	}
	m.Add(0, true)
	byClass := map[string]*queue.ClassMetrics{"A": m}
	if err := store.FlushMetrics(t.Context(), byClass, time.Now()); err != nil {
		t.Fatal(err)
	}
	owner := store.Owner("h:1:a")
	if err := owner.Register(t.Context(), queue.Host{Name: "h"}, nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	s.raw.HSet(t.Context(), "kyu:owner:h:1:a", "queues", "a")
	if _, _, err := owner.FlushRuns(t.Context(), queue.Flush{Number: 1}, byClass); err != nil {
		t.Fatal(err)
	}
	t.Run("draws runs, failures and run time", func(t *testing.T) {
		for _, since := range []string{"1h", "72h", "400d"} {
			out := s.of(t).ok("A, the last ", "history --class A --since "+since)
			for _, want := range []string{"runs/s: 4 in all", "failures/s: 1 in all",
				"run time of successes: mean 2s, at most 2s", "█"} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		}
	})
	t.Run("prints points for programs", func(t *testing.T) {
		line := `"processed":4,"failed":1,"run_ms":6000}`
		s.of(t).ok(`"step_seconds":60,`+line, "history --class A -o jsonl")
		s.of(t).ok(`"step_seconds":3600,`+line, "history --class A -o jsonl --since 30d")
	})
	t.Run("refuses a class without history, and names those that have one", func(t *testing.T) {
		s.of(t).fails(1, "class B: no worker ran it in the last 1h, try --since 7d; there is one "+
			"of A", "history --class B")
		s.of(t).fails(1, "class B: no worker ran it in the last 400d; there is one",
			"history --class B --since 400d")
	})
	t.Run("completes the classes that have a history", func(t *testing.T) {
		s.of(t).offering("A", "history", "--class", "")
	})
}

func TestChart(t *testing.T) {
	t.Run("fills places by eighths, and shows the least", func(t *testing.T) {
		for _, c := range []struct {
			v    float64
			row  int
			want rune
		}{{0, 0, ' '}, {1, 0, '▁'}, {1000, 3, '█'}, {1000, 0, '█'}, {500, 1, '█'}, {500, 2, ' '},
			{530, 2, '▁'}} {
			if got := place(c.v, 1000, c.row); got != c.want {
				t.Errorf("%v in row %d: %q, want %q", c.v, c.row, got, c.want)
			}
		}
	})
	t.Run("writes numbers that fit the axis", func(t *testing.T) {
		for v, want := range map[float64]string{0: "0", 0.0001: "<0.001", 0.25: "0.250",
			7: "7.0", 1234.5: "1,235", 4294967295: "4295M", 9999999: "9,999,999"} {
			if got := perSecond(v); got != want || len(got) >= labelWidth {
				t.Errorf("%v: %q, want %q", v, got, want)
			}
		}
	})
	t.Run("writes a span as people do", func(t *testing.T) {
		for _, text := range []string{"90m", "6h", "24h", "7d", "400d", "1m30s"} {
			var s span
			if err := s.Set(text); err != nil || s.String() != text {
				t.Errorf("%s: %s, %v", text, s.String(), err)
			}
		}
		if time.Duration(inspect.MaxHistory) != 400*24*time.Hour {
			t.Error("the texts say 400d")
		}
	})
}
