package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestASeedGivesTheSameWorkload(t *testing.T) {
	b, err := findBurst("viral")
	if err != nil {
		t.Fatal(err)
	}
	load := func(seed uint64) []arrival {
		return workload(seed, threads, 0.6, 6*time.Minute, time.Minute, b)
	}
	first := load(1)
	if !slices.Equal(first, load(1)) || slices.Equal(first, load(2)) {
		t.Error("the seed does not decide")
	}
	work, steady := 0.0, 0
	for i, a := range first {
		if i > 0 && a.at < first[i-1].at {
			t.Fatal("not in order")
		}
		if a.at < time.Minute {
			work += a.takes.Seconds()
			steady++
		}
	}
	if busy := work / 60 / threads; math.Abs(busy-0.6) > 0.1 {
		t.Errorf("%d jobs keep %.2f of the threads busy, want 0.6", steady, busy)
	}
	for _, name := range []string{"", "flood"} {
		if _, err := findBurst(name); err == nil {
			t.Errorf("--burst %q is taken", name)
		}
	}
}

func TestJobsThatHaveNotStartedCountAsWaiting(t *testing.T) {
	load := []arrival{{0, "push", 0}, {time.Second, "push", 0}, {2 * time.Second, "push", 0},
		{time.Second, "pull", 0}}
	g := &outcome{runs: []ran{{"push", 0, time.Second, 2 * time.Second}},
		looks: []look{{size: map[string]int{"push": 7}}}}
	f := g.figures("push", load, 10*time.Second)
	if f.Done != 1 || f.Left != 2 || f.Max != 9 || f.P50 != 8 || f.Longest != 7 {
		t.Errorf("%+v", f)
	}
}

func TestChiSquareTellsSkewedShares(t *testing.T) {
	if x := chiSquare([]int{4000, 500}, []float64{8, 1}); x > 1e-9 {
		t.Error(x)
	}
	if x := chiSquare([]int{3900, 600}, []float64{8, 1}); x < 10.83 {
		t.Error(x)
	}
}

func TestTheReportIsWhole(t *testing.T) {
	b, _ := findBurst("viral")
	o := starvationOptions{runtime: "kyu", burst: "viral", length: time.Minute, speed: 10,
		busy: 0.5, seed: 1}
	var all []*outcome
	for _, a := range arrangements() {
		var looks []look
		for i := range 60 {
			looks = append(looks, look{time.Duration(i) * time.Second, map[string]int{"push": i},
				map[string]time.Duration{"pull": time.Duration(i) * time.Second}})
		}
		all = append(all, &outcome{arrangement: a, looks: looks,
			runs: []ran{{"push", 0, time.Second, 2 * time.Second}}})
	}
	r := newReport(o, b, 10*time.Second, 100, all, []answer{{"two and two", "four", true},
		{"three", "<b>5</b>", false}})
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "starvation.html"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if strings.Count(text, "<svg") != 12 || strings.Contains(text, "<b>5") ||
		!strings.Contains(text, "two and two") || strings.Contains(text, "http://") &&
		!strings.Contains(text, "www.w3.org") {
		t.Errorf("%d pictures", strings.Count(text, "<svg"))
	}
	for _, name := range []string{"starvation.png", "starvation.json"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 1000 {
			t.Error(name, err)
		}
	}
	var ticks []string
	for _, tick := range (wholeTicks{}).Ticks(0, 360) {
		ticks = append(ticks, tick.Label)
	}
	if len(ticks) < 3 || len(ticks) > 8 || ticks[0] != "0" ||
		strings.Contains(strings.Join(ticks, ""), ".") {
		t.Error(ticks)
	}
}
