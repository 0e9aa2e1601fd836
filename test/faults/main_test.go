package faults

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
	"go.uber.org/goleak"
)

var (
	size = flag.String("size", "smoke", "smoke, full or soak: how often faults happen")
	seed = flag.Int64("seed", 0, "of the schedule of faults; 0: a new one, which is printed")
	out  = flag.String("out", "", "a folder for the results, as JSON")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *seed == 0 {
		*seed = time.Now().UnixNano() % 1_000_000
	}
	flag.Set("test.parallel", "16") // those that may run beside others mostly wait
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

// times is how often a fault happens.
func times(smoke, full int) int {
	if *size == "smoke" {
		return smoke
	}
	return full
}

// figure is what a row of the scorecard measured.
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

// scores notes what a row measures, when the test ends: the returned function adds
// a text.
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

// save adds a line to a file of the results.
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

// percentile of durations, which it sorts.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sortDurations(d)
	return d[min(len(d)-1, int(p*float64(len(d))))]
}
