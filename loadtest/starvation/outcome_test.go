package starvation

import (
	"testing"
	"time"
)

// at is a look at a moment, in seconds, with the age of the oldest job of push.
func at(second, age int) look {
	return look{time.Duration(second) * time.Second, map[string]int{"push": age},
		map[string]time.Duration{"push": time.Duration(age) * time.Second}}
}

func TestFigures(t *testing.T) {
	load := []arrival{{0, "push", 0, "a"}, {time.Second, "push", 0, "a"},
		{2 * time.Second, "push", 0, "a"},
		{time.Second, "pull", 0, ""}, {11 * time.Second, "push", 0, "a"}}
	run := func(pushed, start int) ran {
		return ran{"push", "a", time.Duration(pushed) * time.Second,
			time.Duration(start) * time.Second, time.Duration(start+1) * time.Second}
	}
	t.Run("a job that has not started waits until the end, at least", func(t *testing.T) {
		o := &outcome{runs: []ran{run(0, 1)}, looks: []look{at(5, 7), at(12, 2)}}
		f := o.figures("push", load, 10*time.Second)
		if f.Jobs != 3 || f.Left != 2 || f.Max != 11 || f.P50 != 10 || f.Longest != 7 {
			t.Errorf("%+v", f)
		}
		if got := f.upTo(); got != "at least 11 s" {
			t.Errorf("upTo gives %q", got)
		}
	})
	t.Run("of each host the jobs are left that came last", func(t *testing.T) {
		hosts := []arrival{{0, "push", 0, "b"}, {0, "push", 0, "a"}, {time.Second, "push", 0, "a"}}
		o := &outcome{runs: []ran{run(1, 2), run(0, 1)}, looks: []look{at(9, 0)}}
		if f := o.figures("push", hosts, 10*time.Second); f.Left != 1 || f.Max != 9 {
			t.Errorf("%+v", f)
		}
		o.age("push", hosts)
		if got := o.looks[0].age["push"]; got != 9*time.Second {
			t.Errorf("the oldest job is %v old, want 9s", got)
		}
	})
	t.Run("a job that came after the measured time does not count", func(t *testing.T) {
		o := &outcome{runs: []ran{run(11, 30), run(0, 1), run(1, 3), run(2, 4)},
			looks: []look{at(31, 0)}}
		f := o.figures("push", load, 10*time.Second)
		if f.Jobs != 3 || f.Left != 0 || f.Max != 2 {
			t.Errorf("%+v", f)
		}
		if got := f.upTo(); got != "up to 2.0 s" {
			t.Errorf("upTo gives %q", got)
		}
	})
}

func TestFinding(t *testing.T) {
	figures := func(push, mailers, pull float64, left int) arrangementFigures {
		return arrangementFigures{Queues: []queueFigures{{Queue: "default"},
			{Queue: "push", Max: push, Left: left}, {Queue: "mailers", Max: mailers},
			{Queue: "pull", Max: pull, Left: left}}}
	}
	for _, c := range []struct {
		name    string
		figures arrangementFigures
		want    string
	}{
		{"names the victim that waited longest", figures(70, 140, 150, 0),
			"pull waits up to 150 s behind push"},
		{"names the full queue without a victim", figures(70, 1, 9, 0),
			"push alone waits, up to 70 s"},
		{"says at least if jobs are left", figures(70, 1, 9, 3),
			"push alone waits, at least 70 s"},
		{"says that nothing waits", figures(1, 1, 1, 0), "no queue waits for more than 10 s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.figures.finding("push"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestLateUntil(t *testing.T) {
	t.Run("is the last look with a late job", func(t *testing.T) {
		o := &outcome{looks: []look{at(1, 0), at(20, 15), at(30, 10), at(40, 9)}}
		if got := o.lateUntil(); got != 30*time.Second {
			t.Errorf("%v, want 30 s", got)
		}
	})
}

func TestLate(t *testing.T) {
	for _, c := range []struct {
		name    string
		figures arrangementFigures
		want    string
	}{
		{"says when the last late job waited", arrangementFigures{LateUntil: 300, End: 360},
			"300 s"},
		{"says at least if one waited at the end", arrangementFigures{LateUntil: 360, End: 360},
			"at least 360 s"},
		{"says none", arrangementFigures{End: 360, CutOff: true}, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.figures.Late(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestChiSquare(t *testing.T) {
	t.Run("is 0 for exact shares", func(t *testing.T) {
		if x := chiSquare([]int{4000, 500}, []float64{8, 1}); x > 1e-9 {
			t.Error(x)
		}
	})
	t.Run("is over the limit for skewed shares", func(t *testing.T) {
		if x := chiSquare([]int{3900, 600}, []float64{8, 1}); x < 10.83 {
			t.Error(x)
		}
	})
}
