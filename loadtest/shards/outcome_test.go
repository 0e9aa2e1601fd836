package shards

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	began := time.UnixMicro(1000)
	jobs := []job{{0, 1200, 5000}, {1, 100, 2000}, {2, 0, 3000}, {2, 0, 6000}, {2, 0, 900}}
	o := judge(jobs, began, 10*time.Millisecond, 2, time.Millisecond, 0.004, 60)
	if o.lower != 3 || len(o.overtook) != 2 || o.overtook[0] != 0.8 || o.overtook[1] != 1.8 {
		t.Errorf("%d lower jobs, overtook %v, want 3, 0.8 ms and 1.8 ms", o.lower, o.overtook)
	}
	if o.rate != 400 || o.cpu != 1000 || o.looks != 3000 {
		t.Errorf("%v jobs/s, %v µs/job, %v looks/s, want 400, 1000 and 3000", o.rate, o.cpu,
			o.looks)
	}
}

func TestReadJobs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs")
	if err := os.WriteFile(path, []byte("mid - 1 2 3\nlow - 4 5 6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	jobs, err := readJobs(path)
	if err != nil || len(jobs) != 2 || jobs[0] != (job{1, 1, 2}) || jobs[1] != (job{2, 4, 5}) {
		t.Errorf("%v, %v", jobs, err)
	}
	if os.WriteFile(path, []byte("mid - x\n"), 0o600); err == nil {
		if _, err = readJobs(path); err == nil {
			t.Error("a broken line is read")
		}
	}
}
