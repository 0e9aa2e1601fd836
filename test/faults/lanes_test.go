package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

// laneLimit is how many jobs of a lane may run at once in the queue default. In push it is 1.
const laneLimit = 3

// laneCount is the number of lanes of each queue.
const laneCount = 12

// TestLanes kills workers of queues with lanes, stops them, and has one silent for two leases. A
// lane never has more jobs in flight than its limit, no job is lost, and the lanes with one job at
// a time keep their order.
func TestLanes(t *testing.T) {
	t.Parallel()
	row := scores(t, 49)
	l := &laneRun{Site: harness.New(t), t: t, jobs: bySize(3000, 60_000), kills: bySize(8, 200)}
	l.fill()
	rules := []string{"--lanes", fmt.Sprintf("default,key=lane,max=%d", laneLimit), "--lanes",
		"push,key=lane,max=1"}
	start := func(args ...string) *harness.Process {
		return untilServing(l.Site, l.WorkerWith([]string{"TEST_LEASE=3s"}, append(append([]string{
			"--test-jobs", "--log-format", "plain", "-c", "15", "-t", "1"}, rules...), args...)...))
	}
	one := func() *harness.Process { return start("-q", "default", "-q", "push") }
	silent := one()
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { l.watch(ended) })
	watch.Go(func() { l.silence(silent) })
	l.killOften(one, func() *harness.Process { return start("-q", "push", "-q", "default") })
	l.Until(5*time.Minute, "all jobs have run", func() bool { return l.left.Load() == 0 })
	close(ended)
	watch.Wait()
	l.checkRuns()
	for _, queue := range []string{"default", "push"} {
		l.OK("are right", "lanes", "repair", queue)
	}
	row("%d jobs in %d lanes, %d workers killed, one silent for two leases; %d looks at all that "+
		"is in flight: at most %d of a lane with the limit %d, and %d of one with the limit 1; "+
		"lost 0", l.jobs, 2*laneCount, l.kills, l.looks.Load(), l.most[0].Load(), laneLimit,
		l.most[1].Load())
}

// laneRun is one run of TestLanes.
type laneRun struct {
	*harness.Site
	t           *testing.T
	jobs, kills int

	// watch writes these. most is of the jobs of a lane in flight, in default and in push.
	looks, left atomic.Int64
	most        [2]atomic.Int64
}

// fill pushes the jobs as a Ruby client does. Those of a lane have rising numbers.
func (l *laneRun) fill() {
	ctx := l.t.Context()
	l.left.Store(int64(l.jobs))
	l.Raw.SAdd(ctx, "queues", "default", "push")
	for i := range l.jobs {
		queue, lane := []string{"default", "push"}[i%2], i/2%laneCount
		raw := fmt.Sprintf(`{"class":"Test::Ledger","args":[%q,"%s/%d/%d",%d],"lane":"l%d",`+
			`"jid":"%024x","queue":%q,"retry":true,"created_at":1764380000.1,`+
			`"enqueued_at":1764380000.1}`, l.LedgerPath(), queue, lane, i, rand.IntN(5), lane, i,
			queue)
		l.Must(l.Raw.LPush(ctx, "queue:"+queue, raw).Err())
	}
}

// killOften kills workers of two kinds at random moments, and starts others in their places.
func (l *laneRun) killOften(kinds ...func() *harness.Process) {
	var killers sync.WaitGroup
	for i, start := range kinds {
		killers.Go(func() {
			p := start()
			for range l.kills / len(kinds) {
				<-time.After(time.Duration(50+rand.IntN(400)) * time.Millisecond)
				p.Kill()
				p = start()
			}
			if i == 0 {
				l.Equal("exit code", p.Stop(), 0) // one stops in order
				start()
			}
		})
	}
	killers.Wait()
}

// silence stops a worker for two leases, so that others take its jobs, and lets it go on.
func (l *laneRun) silence(p *harness.Process) {
	<-time.After(500 * time.Millisecond)
	p.Signal(syscall.SIGSTOP)
	<-time.After(6 * time.Second)
	p.Signal(syscall.SIGCONT)
}

// lookAtLanes returns, in one step, the most jobs of a lane in flight in each queue, and all jobs
// that there are, first.
const lookAtLanes = `
local all, most = 0, {0, 0}
for q, name in ipairs({'default', 'push'}) do
  local lanes, tag = {}, 'kyu:{queue:' .. name .. '}:'
  all = all + redis.call('LLEN', 'queue:' .. name) + redis.call('LLEN', tag .. 'lanes:arrived')
  for _, key in ipairs(redis.call('KEYS', tag .. '*')) do
    if string.find(key, ':inflight:', 1, true) then
      for _, raw in ipairs(redis.call('HVALS', key)) do
        local lane = cjson.decode(raw).lane
        lanes[lane], all = (lanes[lane] or 0) + 1, all + 1
        most[q] = math.max(most[q], lanes[lane])
      end
    elseif string.find(key, ':landing:', 1, true) or string.find(key, ':lane:', 1, true) then
      all = all + redis.call('LLEN', key)
    end
  end
end
all = all + redis.call('ZCARD', 'retry') + redis.call('ZCARD', 'schedule')
return {all + redis.call('ZCARD', 'dead'), most[1], most[2]}`

// watch looks again and again: a lane has no more jobs in flight than its limit, and the jobs that
// there are become fewer and never more: pushed = waiting + parked + in flight + done.
func (l *laneRun) watch(ended chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-time.After(3 * time.Millisecond):
		}
		n, err := l.Raw.Eval(l.t.Context(), lookAtLanes, nil).Int64Slice()
		if err != nil {
			l.t.Error(err)
			return
		}
		if before := l.left.Swap(n[0]); n[0] > before {
			l.t.Errorf("%d jobs are in Redis, and were %d", n[0], before)
		}
		l.looks.Add(1)
		for i, limit := range []int64{laneLimit, 1} {
			if l.most[i].Store(max(l.most[i].Load(), n[1+i])); n[1+i] > limit {
				l.t.Errorf("%d jobs of a lane are in flight, and its limit is %d", n[1+i], limit)
			}
		}
	}
}

// checkRuns checks by the ledger that each job has ended, and that the jobs of a lane with the
// limit 1 began in their order.
func (l *laneRun) checkRuns() {
	text, err := os.ReadFile(l.LedgerPath())
	l.Must(err)
	ended, started, last := map[string]bool{}, map[string]bool{}, map[string]int{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		ended[words[1]] = ended[words[1]] || words[0] == "end"
		parts := strings.Split(words[1], "/")
		if words[0] != "start" || parts[0] != "push" || started[words[1]] {
			continue
		}
		started[words[1]] = true
		n, err := strconv.Atoi(parts[2])
		l.Must(err)
		if before, some := last[parts[1]]; some && n < before {
			l.t.Errorf("job %d of lane %s began after %d", n, parts[1], before)
		}
		last[parts[1]] = n
	}
	if len(ended) != l.jobs {
		l.t.Errorf("%d jobs have run, want %d", len(ended), l.jobs)
	}
	for id, done := range ended {
		if !done {
			l.t.Errorf("%s has not ended", id)
		}
	}
}
