package dashboard_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// worker writes the record of a process of Kyu that has just told its runs.
func (f *fixture) worker(identity string, threads []string, runs ...queue.RunRecord) {
	f.Helper()
	f.process(identity, fields{"hostname": "web1", "pid": 1, "concurrency": len(threads),
		"queues": []string{"a"}}, payload("run0", "Job", "a", time.Now(), nil))
	o := f.store.Owner(identity)
	f.must(o.Register(f.Context(), queue.Host{Name: "web1", PID: 1}, []string{"a"}, time.Hour))
	f.must(o.PublishRuns(f.Context(), threads, runs, time.Now()))
}

// ran is a run that began so long ago.
func ran(tid, class, outcome string, ago, took time.Duration) queue.RunRecord {
	return queue.RunRecord{TID: tid, Queue: "a", Class: class, JID: "jid-" + class,
		Started: time.Now().Add(-ago), Took: took, Outcome: outcome}
}

func TestLanes(t *testing.T) {
	f := newFixture(t)
	f.worker("web1:1:kyu", []string{"t10", "t2"},
		ran("t2", "Deliver", "done", 50*time.Second, 30*time.Second),
		ran("t2", "Deliver", "retry", 15*time.Second, 3*time.Second),
		ran("t10", "Fetch", queue.OutcomeRunning, 6*time.Second, 6*time.Second),
		ran("t10", "Older", "done", 5*time.Minute, time.Millisecond))
	t.Run("has a lane for each thread, in their order", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/processes/web1:1:kyu/lanes", 200)
		f.has(page, "2 runs, 1 failed, busy 55 % of the time", "1 runs, 0 failed, busy 10 %",
			"failed, retry", "Deliver jid-Deliver, 30 s, done", "Fetch", "running")
		if strings.Index(page, `row">t2<`) > strings.Index(page, `row">t10<`) {
			t.Error("t10 is before t2")
		}
		f.lacks(page, "Older")
	})
	t.Run("a run has the place of its time", func(t *testing.T) {
		page := f.sub(t).get("/busy/lanes?window=60", 200)
		var x, width int
		m := regexp.MustCompile(`Deliver, 30 s, done</title><rect [^>]*x="(\d+)" width="(\d+)"`).
			FindStringSubmatch(page)
		if len(m) != 3 {
			t.Fatal(page)
		}
		fmt.Sscan(m[1], &x)
		fmt.Sscan(m[2], &width)
		if x < 200 || x > 334 || width < 998 || width > 1001 { // of 2,000: 10 s of 60 are 333
			t.Errorf("x is %d, width %d", x, width)
		}
	})
	t.Run("who sees no colours sees failures and classes by their form", func(t *testing.T) {
		page := f.sub(t).get("/busy/lanes", 200)
		if !regexp.MustCompile(`3 s, failed, retry</title><rect [^>]*height="6"/>`+
			`<rect class="failures" [^>]*height="3"/>`).MatchString(strings.ReplaceAll(page,
			"3.0 s", "3 s")) || !strings.Contains(page, `fill="url(#lane1)"`) {
			t.Error(page)
		}
	})
	t.Run("shows more time if it is asked", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/busy/lanes?window=600", 200), "Older", "1.00 ms")
		f.lacks(f.get("/busy/lanes?window=10", 200), "30 s, done")
		f.has(f.get("/busy/lanes?window=x", 200), "The last 60 s")
	})
	t.Run("programs get the runs", func(t *testing.T) {
		var p struct {
			Processes []struct {
				State string
				Runs  []struct{ JID, Outcome string }
			}
		}
		f.must(json.Unmarshal([]byte(f.sub(t).get("/api/v1/processes/web1:1:kyu/lanes", 200)), &p))
		if len(p.Processes) != 1 || p.Processes[0].State != "told" ||
			len(p.Processes[0].Runs) != 4 || p.Processes[0].Runs[0].JID != "jid-Fetch" {
			t.Errorf("%+v", p)
		}
	})
	t.Run("a process of Ruby says that it cannot", func(t *testing.T) {
		f := f.sub(t)
		f.process("ruby:1:x", fields{"hostname": "r", "concurrency": 5}, "{}")
		f.has(f.get("/processes/ruby:1:x/lanes", 200), "Ruby's Sidekiq does not keep")
		f.has(f.get("/busy/lanes", 200), "ruby:1:x", "Deliver")
	})
	t.Run("a process that is gone is not found", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/processes/web9:1:x/lanes", 404), "is not alive")
	})
	t.Run("draws a bounded number of runs", func(t *testing.T) {
		f := f.sub(t)
		var runs []queue.RunRecord
		for range 5000 {
			runs = append(runs, ran("t0", "Tiny", "done", time.Second, time.Millisecond))
		}
		f.worker("big:1:kyu", []string{"t0"}, runs...)
		page := f.get("/processes/big:1:kyu/lanes", 200)
		f.has(page, "5,000 runs, 0 failed")
		if n := strings.Count(page, "<title>Tiny"); n != 3000 {
			t.Errorf("%d runs are drawn", n)
		}
	})
}
