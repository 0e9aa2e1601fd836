package compare

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// made is a comparison without servers.
func made(o Options) (*comparison, *bytes.Buffer) {
	var out bytes.Buffer
	return &comparison{Lab: &lab.Lab{}, Options: o, out: &out}, &out
}

func names(list []rival) string {
	words := make([]string, len(list))
	for i, r := range list {
		words[i] = r.name
	}
	return strings.Join(words, "; ")
}

func TestRivals(t *testing.T) {
	for _, c := range []struct {
		name          string
		options       Options
		want, workers string
	}{
		{"all", Options{program: "bin/rivals"},
			"bare loop; kyu; kyu, job log; sidekiq; sidekiq, job log; asynq; river",
			"kyu; sidekiq; asynq; river"},
		{"Kyu alone", Options{noRuby: true}, "bare loop; kyu; kyu, job log", "kyu"},
		{"two workers of Kyu", Options{before: "old"}, "kyu before; kyu", "kyu before; kyu"},
	} {
		t.Run(c.name, func(t *testing.T) {
			made, _ := made(c.options)
			if got := names(made.rivals()); got != c.want {
				t.Errorf("rivals %s, want %s", got, c.want)
			}
			if got := names(made.workers()); got != c.workers {
				t.Errorf("workers %s, want %s", got, c.workers)
			}
		})
	}
}

func TestKyuArgs(t *testing.T) {
	t.Run("have each of the flags as a word", func(t *testing.T) {
		got := kyuArgs(15, "-q other -q default,floor=75%", "warn")
		if want := []string{"--test-jobs", "-c", "15", "--log-level", "warn", "-q", "other", "-q",
			"default,floor=75%"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestDrainTables(t *testing.T) {
	all := []figure{
		{Name: "bare loop", Threads: 15, JobsPerSec: 1000},
		{Name: "kyu", Threads: 15, JobsPerSec: 700}, {Name: "kyu", Threads: 15, JobsPerSec: 900},
		{Name: "kyu", Threads: 15, JobsPerSec: 800},
		{Name: "kyu, job log", Threads: 15, JobsPerSec: 400},
	}
	t.Run("show median, lowest, highest, and the share of the bare loop", func(t *testing.T) {
		c, out := made(Options{noRuby: true, threads: []int{15}, rounds: 3})
		c.printDrains(all, false)
		row := strings.Fields(strings.Split(out.String(), "\n")[3])
		want := "15 kyu 800 700 900 0.0 0.0 80"
		if got := strings.Join(row[:8], " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("compare two workers round by round", func(t *testing.T) {
		c, out := made(Options{before: "old", threads: []int{15}, rounds: 3})
		var all []figure
		for _, pinned := range []bool{false, true} {
			for i, speed := range []float64{90, 100, 120} {
				all = append(all, figure{Name: "kyu before", Threads: 15, Pinned: pinned, Round: i,
					JobsPerSec: 100}, figure{Name: "kyu", Threads: 15, Pinned: pinned, Round: i,
					JobsPerSec: speed})
			}
		}
		c.printBefore(all)
		if !strings.Contains(out.String(), "1.000                    0.900 to 1.200") {
			t.Errorf("\n%s", out)
		}
	})
}

func TestOptions(t *testing.T) {
	here := filepath.Join(t.TempDir(), "worker")
	if err := os.WriteFile(here, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options Options
		want    string // part of the error; empty: none
	}{
		{"an unknown part is refused", Options{worker: here, only: []string{"drian"}}, "drian"},
		{"a missing worker names the remedy", Options{worker: "nowhere"},
			"make bin/testworker"},
		{"a missing program of rivals names the remedy",
			Options{worker: here, program: "nowhere"}, "make bin/rivals"},
		{"two workers need no rivals", Options{worker: here, before: here, program: "no"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.options.check()
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	t.Run("is empty before the first job", func(t *testing.T) {
		if counts, err := ledger(path).ends(); len(counts) != 0 || err != nil {
			t.Errorf("%v, %v", counts, err)
		}
	})
	t.Run("counts the ends of each job", func(t *testing.T) {
		if err := os.WriteFile(path, []byte("start 1\nend 1\nstart 2\nstart 1\nend 1\n"),
			0o600); err != nil {
			t.Fatal(err)
		}
		counts, err := ledger(path).ends()
		if err != nil || len(counts) != 1 || counts["1"] != 2 {
			t.Errorf("%v, %v", counts, err)
		}
	})
}

func TestOutboxTable(t *testing.T) {
	list := []transactional{{name: "kyu"}, {name: "river"}}
	all := map[string][]outboxFigure{
		"kyu": {{perSec: 900, postgres: 7}, {perSec: 300, postgres: 7},
			{perSec: 600, p50: 1.5, p99: 3, postgres: 9, redis: 2}},
		"river": {{perSec: 1200, p50: 1, p99: 2, postgres: 14}},
	}
	t.Run("shows medians, and the ratios to River", func(t *testing.T) {
		c, out := made(Options{})
		c.printOutboxes(list, all)
		lines := strings.Split(out.String(), "\n")
		for i, want := range []string{"kyu 600 0.00 0.00 7.0 0.0", "river 1200 1.00 2.00 14.0 0.0",
			"kyu / river 0.50 0.00 0.00 0.50"} {
			if got := strings.Join(strings.Fields(lines[i+2]), " "); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
	t.Run("is left out without River", func(t *testing.T) {
		c, out := made(Options{})
		if err := c.outboxes(t.Context()); err != nil ||
			!strings.Contains(out.String(), "left out") {
			t.Error(err, out)
		}
	})
}
