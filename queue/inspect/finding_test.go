package inspect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// factsAt is the time of all facts.
var factsAt = time.Unix(1795345820, 0)

// past is a time before the facts.
func past(d time.Duration) time.Time { return factsAt.Add(-d) }

// worker is a process that serves the queue a with 5 threads, 1 of them busy.
func worker(change func(*Process)) Process {
	p := Process{Identity: "h:1:x", Hostname: "h", Queues: []string{"a"}, Concurrency: 5, Busy: 1,
		Beat: factsAt, Turned: factsAt}
	if change != nil {
		change(&p)
	}
	return p
}

// old is a queue whose oldest job waits for long.
var old = QueueInfo{Name: "a", Size: 7, Latency: 90}

// slow runs in the worker since a time.
func slow(since time.Time) Work {
	j, _ := envelope.ParseJob(`{"class":"Slow","jid":"j1","queue":"a","args":[]}`)
	return Work{Process: "h:1:x", Queue: "a", RunAt: since, Job: j}
}

// ended is the lease of a dead worker. Its sign is - if the worker was declared dead.
func ended(d time.Duration, sign string) queue.Lease {
	return queue.Lease{Identity: "h:9:dead", Ended: true,
		Score: fmt.Sprintf("%s%d", sign, past(d).UnixMilli())}
}

// stuckCase has facts, and the place, what is found, how long ago it began, and the beginning of
// what to do about it; want is empty if nothing is stuck.
type stuckCase struct {
	facts stuckFacts
	want  string
}

func checkFindings(t *testing.T, cases map[string]stuckCase) {
	for name, x := range cases {
		t.Run(name, func(t *testing.T) {
			x.facts.now, x.facts.longRun = factsAt, LongRun
			got := ""
			for _, f := range x.facts.findings() {
				since := ""
				if !f.Since.IsZero() {
					since = factsAt.Sub(f.Since).String()
				}
				got += fmt.Sprintf("%s: %s, %s, %s\n", f.Where, f.What, since, f.Do)
			}
			if strings.Count(got, "\n") > 1 || !strings.HasPrefix(got, x.want) ||
				x.want == "" && got != "" {
				t.Errorf("%q, want %q", got, x.want)
			}
		})
	}
}

func TestFindingsOfProcesses(t *testing.T) {
	checkFindings(t, map[string]stuckCase{
		"a process that does not report": {stuckFacts{sight: sight{processes: []Process{
			worker(func(p *Process) { p.Beat = past(20 * time.Second) })}}},
			"process h:1:x: it does not report, 20s, look whether h is alive"},
		"a loop that hangs": {stuckFacts{sight: sight{processes: []Process{
			worker(func(p *Process) { p.Turned = past(time.Minute) })}}},
			"process h:1:x: one of its loops hangs, 1m0s, workerctl dump h:1:x"},
		"handlers that ignore their time": {stuckFacts{sight: sight{processes: []Process{
			worker(func(p *Process) { p.Stuck = 2 })}}},
			"process h:1:x: 2 handlers ignore that their time is over"},
		"a process of Ruby that says only when it reported": {stuckFacts{sight: sight{
			processes: []Process{worker(func(p *Process) { p.Turned = time.Time{} })}}}, ""},
		"a quiet process whose job runs on": {stuckFacts{sight: sight{
			processes: []Process{worker(func(p *Process) { p.Quiet = true })},
			work:      []Work{slow(past(2 * time.Minute))}}},
			"process h:1:x: it is quiet, and 1 jobs still run, 2m0s, workerctl busy --process"},
		"a quiet process that has just begun to end": {stuckFacts{sight: sight{
			processes: []Process{worker(func(p *Process) { p.Quiet = true })},
			work:      []Work{slow(past(30 * time.Second))}}}, ""},
	})
}

func TestFindingsOfQueues(t *testing.T) {
	checkFindings(t, map[string]stuckCase{
		"a queue that no process serves": {stuckFacts{sight: sight{queues: []QueueInfo{old}}},
			"queue a: 7 jobs wait, and no process serves it, 1m30s, worker -q a"},
		"a queue whose processes are quiet": {stuckFacts{sight: sight{queues: []QueueInfo{old},
			processes: []Process{worker(func(p *Process) { p.Quiet = true })}}},
			"queue a: 7 jobs wait, and all 1 processes that serve it are quiet, 1m30s, restart"},
		"a paused queue with jobs": {stuckFacts{sight: sight{queues: []QueueInfo{
			{Name: "a", Size: 7, Latency: 90, Paused: true}}, processes: []Process{worker(nil)}}},
			"queue a: 7 jobs wait, and it is paused, 1m30s, workerctl queue a --unpause"},
		"a paused queue without jobs": {stuckFacts{sight: sight{
			queues: []QueueInfo{{Name: "a", Paused: true}}}}, ""},
		"a queue beside idle threads": {stuckFacts{sight: sight{queues: []QueueInfo{old},
			processes: []Process{worker(nil)}}},
			"queue a: 7 jobs wait beside 4 idle threads, 1m30s, workerctl dump h:1:x"},
		"a queue whose threads are busy with other queues": {stuckFacts{sight: sight{
			queues:    []QueueInfo{old},
			processes: []Process{worker(func(p *Process) { p.Busy = 5 })}}}, ""},
		"a queue of which a job runs": {stuckFacts{sight: sight{
			queues: []QueueInfo{old}, processes: []Process{worker(nil)},
			work: []Work{{Process: "h:1:x", Queue: "a"}}}}, ""},
		"a queue of which a job is in flight": {stuckFacts{sight: sight{queues: []QueueInfo{old},
			processes: []Process{worker(nil)},
			owners:    []owner{{inflight: map[string]int64{"a": 1}}}}}, ""},
		"a queue that empties": {stuckFacts{sight: sight{queues: []QueueInfo{old},
			processes: []Process{worker(nil)}}, flows: map[string]Rate{"a": {0, 2}}}, ""},
		"a queue whose jobs have just come": {stuckFacts{sight: sight{queues: []QueueInfo{
			{Name: "a", Size: 7, Latency: 59}}, processes: []Process{worker(nil)}}}, ""},
	})
}

func TestFindingsOfJobs(t *testing.T) {
	checkFindings(t, map[string]stuckCase{
		"a job that runs for too long": {stuckFacts{sight: sight{
			work: []Work{slow(past(2 * time.Hour))}}},
			"job j1: Slow of the queue a has run for 2h 0m in h:1:x, 2h0m0s, workerctl dump h:1:x"},
		"a job that does not run for long": {stuckFacts{sight: sight{
			work: []Work{slow(past(time.Hour)), slow(time.Time{})}}}, ""},
		"jobs of a dead worker": {stuckFacts{sight: sight{owners: []owner{{
			ended(time.Minute, ""), []string{"a"}, map[string]int64{"a": 2},
			map[string]int64{"a": 1}}}}},
			"queue a: 3 jobs are in flight of h:9:dead, which is gone, and no worker takes them " +
				"back, 1m0s, worker -q a"},
		"jobs of a worker that was declared dead": {stuckFacts{sight: sight{owners: []owner{{
			ended(time.Hour, "-"), []string{"a"}, map[string]int64{"a": 2}, nil}}}},
			"queue a: 2 jobs are in flight of h:9:dead, which is gone, and no worker takes them " +
				"back, 1h0m0s"},
		"jobs of a worker that has just died": {stuckFacts{sight: sight{owners: []owner{{
			ended(20*time.Second, ""), []string{"a"}, map[string]int64{"a": 2}, nil}}}}, ""},
		"jobs of a worker that lives": {stuckFacts{sight: sight{owners: []owner{{
			queue.Lease{Score: fmt.Sprint(factsAt.UnixMilli() + 1)}, []string{"a"},
			map[string]int64{"a": 2}, nil}}}}, ""},
		"a job that landed and is not taken": {stuckFacts{landed: []landing{
			{"a", "h:1:x", 1, past(2 * time.Minute)}}},
			"queue a: 1 jobs that a doorbell brought to h:1:x are not taken, 2m0s, workerctl dump"},
		"a job that has just landed": {stuckFacts{landed: []landing{{"a", "h:1:x", 1, factsAt}}},
			""},
		"jobs that are due, without a worker": {stuckFacts{overdue: []overdue{
			{"retries", 5, past(time.Hour)}}},
			"retries: 5 jobs are due, and no process moves them to their queues, 1h0m0s, worker"},
		"jobs that are due, with a worker": {stuckFacts{overdue: []overdue{
			{"scheduled", 5, past(time.Hour)}}, sight: sight{processes: []Process{worker(nil)}}},
			"scheduled: 5 jobs are due, and no process moves them to their queues, 1h0m0s, look"},
		"held jobs": {stuckFacts{held: []Held{{"New", 4, past(time.Hour)}}},
			"class New: 4 jobs are held: no worker that took them has a handler, 1h0m0s, deploy"},
	})
}
