package starvation

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// written writes a report about made-up outcomes, and gives the page, the picture, and the
// text for the terminal.
func written(t *testing.T) (page, picture, terminal string) {
	t.Helper()
	e, err := newExperiment(Options{runtime: "kyu", burst: "viral", length: time.Minute,
		limit: time.Minute, speed: 10, busy: 0.5, seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var all []*outcome
	for _, a := range arrangements() {
		o := &outcome{arrangement: a, runs: []ran{{"push", "", 0, time.Second, 2 * time.Second}}}
		for i := range 60 {
			o.looks = append(o.looks, at(i, i))
		}
		all = append(all, o)
	}
	r := newReport(e, all, []played{scene()},
		[]answer{{"two and two", "four", true}, {"three", "<b>5</b>", false}})
	var out bytes.Buffer
	r.print(&out)
	dir := t.TempDir()
	if err := r.write(dir, &out); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if numbers := read("starvation.json"); !strings.Contains(numbers, `"cut_off_at_limit": true`) {
		t.Errorf("the numbers: %.500s", numbers)
	}
	return read("starvation.html"), read("starvation.svg"), out.String()
}

// scene is a made-up result of a scenario, which lanes helped.
func scene() played {
	s := oneLoudTenant(3, 2)
	run := func(host string, start time.Duration) ran {
		return ran{"push", host, 0, start, start + time.Second}
	}
	laned := []ran{run("host0", time.Second), run("host1", time.Second), run("loud", 0)}
	return played{Name: s.Name, Story: s.Story, Finding: "the others wait <less>", scenario: s,
		Ways: []way{s.newWay("no lanes", []ran{run("host0", 9*time.Second),
			run("host1", 9*time.Second), run("loud", 0), run("loud", 0)}),
			s.newWay("lanes", laned), s.newWay("lanes, loud host away", laned[:2])}}
}

func TestReport(t *testing.T) {
	page, picture, terminal := written(t)
	t.Run("the page has three charts, and one of each scenario", func(t *testing.T) {
		if n := strings.Count(page, "<svg"); n != 4 {
			t.Errorf("%d charts", n)
		}
	})
	t.Run("the page escapes texts", func(t *testing.T) {
		if strings.Contains(page, "<b>5") ||
			strings.Contains(page, "<less>") || !strings.Contains(page, "&lt;b&gt;5") {
			t.Error("an answer is not escaped")
		}
	})
	t.Run("the page and the terminal show the waits of a scenario", func(t *testing.T) {
		for name, text := range map[string]string{"page": page, "terminal": terminal} {
			if !strings.Contains(text, "one loud tenant") ||
				!strings.Contains(text, "lanes, loud") {
				t.Errorf("the %s does not", name)
			}
		}
		if !strings.Contains(page, "no lanes: the others wait up to 9.0 s") {
			t.Error("no title of a picture says how long the others wait")
		}
	})
	t.Run("the page and its charts load nothing", func(t *testing.T) {
		for _, word := range []string{"src=", "href=", "url(", "@import"} {
			if strings.Contains(page, word) {
				t.Errorf("the page contains %s", word)
			}
		}
	})
	t.Run("all forms say at least when an arrangement is cut off", func(t *testing.T) {
		for name, text := range map[string]string{"page": page, "picture": picture,
			"terminal": terminal} {
			if !strings.Contains(text, "at least 5") {
				t.Errorf("the %s does not", name)
			}
		}
	})
}
