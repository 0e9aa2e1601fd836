package starvation

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestScenarios(t *testing.T) {
	t.Run("are loads in the order of time, with jobs of many other hosts", func(t *testing.T) {
		for _, s := range scenarios() {
			if !slices.IsSortedFunc(s.load, func(a, b arrival) int { return int(a.at - b.at) }) {
				t.Errorf("%s is not sorted", s.Name)
			}
			hosts := map[string]bool{}
			for _, a := range s.without() {
				hosts[a.host] = true
			}
			if len(hosts) < 100 || hosts[s.host] {
				t.Errorf("%s has %d other hosts", s.Name, len(hosts))
			}
		}
	})
}

func TestWay(t *testing.T) {
	w := scene().Ways[0]
	t.Run("has the waits of the others, and the threads of the one host", func(t *testing.T) {
		if w.Jobs != 2 || w.P99 != 9 || w.AtOnce != 2 {
			t.Errorf("%+v", w)
		}
	})
	t.Run("has the age of the oldest job of the others over time", func(t *testing.T) {
		list := w.ages("loud")
		if last := list[len(list)-2]; last.X < 8.9 || last.Y != last.X {
			t.Errorf("%+v, want the seconds since the push", last)
		}
	})
}

func TestAnswers(t *testing.T) {
	verdicts := func(p played) (list []bool) {
		for _, a := range p.answers() {
			list = append(list, a.Right)
		}
		return list
	}
	t.Run("are right if lanes keep what they promise", func(t *testing.T) {
		if got := verdicts(scene()); !slices.Equal(got, []bool{true, true}) {
			t.Errorf("%v", scene().answers())
		}
	})
	t.Run("are wrong if the others wait, or if a host holds more than its limit",
		func(t *testing.T) {
			p := scene()
			p.Ways[1].P99, p.Ways[1].AtOnce = 2.1, hostMax+1
			if got := verdicts(p); !slices.Equal(got, []bool{false, false}) {
				t.Errorf("%v", p.answers())
			}
		})
}

// TestPlay plays the short form of the scenarios on a real Redis and a real worker.
func TestPlay(t *testing.T) {
	t.Cleanup(harness.Build("./test/kit/testworker"))
	e, err := newExperiment(Options{runtime: "kyu", burst: "viral", length: time.Minute,
		limit: time.Minute, speed: 1, busy: 0.5, worker: harness.Program("testworker")})
	if err != nil {
		t.Fatal(err)
	}
	if e.Lab, err = lab.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	t.Run("lanes let the others pass a loud tenant, and bound it", func(t *testing.T) {
		p, err := e.playAll(t.Context(), oneLoudTenant(2000, 50))
		if err != nil {
			t.Fatal(err)
		}
		plain, laned := p.Ways[0], p.Ways[1]
		if n := before(plain.runs); n < 2000-threads {
			t.Errorf("without lanes %d jobs of the loud one start before the others", n)
		}
		if n := before(laned.runs); n > 1000 {
			t.Errorf("with lanes %d jobs of the loud one start before the last of the others", n)
		}
		if laned.AtOnce == 0 || laned.AtOnce > hostMax {
			t.Errorf("%d of its jobs run at once, want 1 to %d", laned.AtOnce, hostMax)
		}
		if !strings.Contains(p.Finding, "with lanes") {
			t.Errorf("the finding is %q", p.Finding)
		}
	})
	t.Run("parked jobs count as jobs that wait", func(t *testing.T) {
		e.load = deliveries(400, 2, 20*time.Millisecond)
		e.length, e.limit, e.longest = time.Second, 30*time.Second, time.Second
		o, err := e.play(t.Context(), arrangements()[len(arrangements())-1])
		if err != nil {
			t.Fatal(err)
		}
		if f := o.figures("push", e.load, e.length); f.Jobs != 400 || f.Left != 0 ||
			f.Longest < 100 {
			t.Errorf("%+v, want 400 jobs, of which more than 100 wait at a time", f)
		}
		if _, most := mostAtOnce(o.runs); most > hostMax {
			t.Errorf("%d jobs of a host run at once, want at most %d", most, hostMax)
		}
	})
}

// before counts the jobs of the loud one that started before the last of the others.
func before(runs []ran) (n int) {
	last := 0
	for i, r := range runs { // in the order of starts
		if r.host != "loud" {
			last = i
		}
	}
	for _, r := range runs[:last] {
		if r.host == "loud" {
			n++
		}
	}
	return n
}
