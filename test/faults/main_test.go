package faults

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
	"go.uber.org/goleak"
)

var (
	size = flag.String("size", "smoke", "how often faults happen: smoke, full or soak")
	seed = flag.Int64("seed", 0, "decides the order of the faults; 0: a new one, which is printed")
	out  = flag.String("out", "", "a folder for the results, as lines of JSON")
)

func TestMain(m *testing.M) {
	if url := os.Getenv(pusherURL); url != "" { // a client process of TestUniqueLocks
		if err := pushLocked(url, os.Getenv(pusherPlan)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if plan := os.Getenv(outboxPlan); plan != "" { // a pusher of TestOutbox
		fmt.Fprintln(os.Stderr, pushThroughOutbox(plan))
		os.Exit(1)
	}
	if os.Getenv(shardPusher) != "" { // a pusher of TestPushOverShards
		fmt.Fprintln(os.Stderr, pushOverShards())
		os.Exit(1)
	}
	flag.Parse()
	if *seed == 0 {
		*seed = time.Now().UnixNano() % 1_000_000
	}
	harness.Parallel(16)
	clean := harness.Build("./cmd/worker", "./cmd/workerctl", "./test/kit/testworker")
	harness.BuildAs("testworker-failpoints", "failpoints", "./test/kit/testworker")
	code := m.Run()
	clean()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// bySize returns the value for -size smoke, or the one for the larger sizes.
func bySize[T any](smoke, full T) T {
	if *size == "smoke" {
		return smoke
	}
	return full
}

// figure is a measurement for a row of the scorecard.
type figure struct {
	Row      int     `json:"row"`
	Test     string  `json:"test"`
	Size     string  `json:"size"`
	Measured string  `json:"measured"`
	Passed   bool    `json:"passed"`
	Seconds  float64 `json:"seconds"`
	Date     string  `json:"date"`
}

var writing sync.Mutex

// scores saves the measurements of a row when the test ends. The returned function adds one.
func scores(t *testing.T, row int) func(format string, args ...any) {
	t.Helper()
	began, measured := time.Now(), ""
	t.Cleanup(func() {
		f := figure{row, t.Name(), *size, measured, !t.Failed(), time.Since(began).Seconds(),
			time.Now().Format(time.DateOnly)}
		if t.Skipped() {
			return
		}
		t.Logf("row %d: %s", row, measured)
		if *out == "" {
			return
		}
		save(t, "figures.jsonl", f)
	})
	return func(format string, args ...any) {
		if measured != "" {
			measured += "; "
		}
		measured += fmt.Sprintf(format, args...)
	}
}

// save appends v to a file of the results, as a line of JSON.
func save(t *testing.T, name string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	writing.Lock()
	defer writing.Unlock()
	dir := *out
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(harness.Root(), dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(append(b, '\n')); err != nil {
		t.Fatal(err)
	}
}

// percentile returns the p-quantile of durations, and sorts them.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(p*float64(len(d))))]
}
