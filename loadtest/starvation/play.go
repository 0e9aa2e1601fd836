package starvation

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// ran is a job that has run, in times of life since the start of the experiment.
type ran struct {
	queue, host        string
	pushed, start, end time.Duration
}

// look is the state of the queues at a moment.
type look struct {
	at   time.Duration // of life
	size map[string]int
	age  map[string]time.Duration // of the oldest job that waits
}

func (l look) empty() bool {
	for _, n := range l.size {
		if n > 0 {
			return false
		}
	}
	return true
}

// launch starts one process of the runtime.
func (e *experiment) launch(flags []string) (*exec.Cmd, error) {
	flags = append([]string{"-t", "1"}, flags...)
	if e.runtime == "sidekiq" {
		return e.SpawnSidekiq(false, false, flags...)
	}
	return e.Spawn(false, nil, e.worker,
		append([]string{"--test-jobs", "--log-level", "warn"}, flags...)...)
}

// prepare turns the worker's own lanes of push off, unless an arrangement has lanes.
func (e *experiment) prepare(ctx context.Context, processes [][]string) error {
	if e.runtime != "kyu" || slices.Contains(processes[0], "--lanes") {
		return nil
	}
	control := lanes.Control{Store: e.Store}
	if err := control.Set(ctx, "push", lanes.Rule{Max: hostMax}); err != nil {
		return err
	}
	_, err := control.Drain(ctx, "push")
	return err
}

// launchAll starts the processes of an arrangement, and waits until all are registered.
func (e *experiment) launchAll(ctx context.Context,
	processes [][]string) (stopAll func(), err error) {
	if err := e.prepare(ctx, processes); err != nil {
		return nil, err
	}
	var cmds []*exec.Cmd
	stopAll = func() {
		for _, c := range cmds {
			c.Process.Signal(os.Interrupt)
		}
		for _, c := range cmds {
			lab.Stop(c)
		}
	}
	for _, flags := range processes {
		c, err := e.launch(flags)
		if err != nil {
			stopAll()
			return nil, err
		}
		cmds = append(cmds, c)
	}
	for limit := time.Now().Add(30 * time.Second); e.Raw.SCard(ctx,
		"processes").Val() < int64(len(processes)); {
		if time.Now().After(limit) || ctx.Err() != nil {
			stopAll()
			return nil, errors.New("the processes do not all start within 30 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
	return stopAll, nil
}

// play runs the load on an arrangement.
func (e *experiment) play(ctx context.Context, a arrangement) (*outcome, error) {
	e.Raw.FlushAll(ctx)
	path := e.File("runs-" + a.Name)
	if err := os.RemoveAll(path); err != nil { // of the same arrangement before
		return nil, err
	}
	stopAll, err := e.launchAll(ctx, a.processes)
	if err != nil {
		return nil, err
	}
	defer stopAll()
	start := time.Now()
	looks, err := e.feed(ctx, path, start)
	if err != nil {
		return nil, err
	}
	if looks[len(looks)-1].empty() { // all jobs have started: let them end
		select {
		case <-time.After(e.real(e.longest)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	runs, err := readRuns(path, start, e.speed)
	o := &outcome{a, runs, looks}
	if a.Name == "lanes" {
		o.age("push", e.load)
	}
	return o, err
}

// feed pushes each job at its time, and looks at the queues ten times a second. It returns
// when, after the measured time, it finds all queues empty; or at the limit.
func (e *experiment) feed(ctx context.Context, path string, start time.Time) ([]look, error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	looks, load := []look{{}}, e.load
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		now := e.life(time.Since(start))
		if err := e.pushDue(ctx, &load, path, start); err != nil {
			return nil, err
		}
		if now-looks[len(looks)-1].at < e.life(100*time.Millisecond) {
			continue
		}
		l, err := e.look(ctx, now)
		if err != nil {
			return nil, err
		}
		looks = append(looks, l)
		if now >= e.limit || now >= e.length && l.empty() {
			return looks, nil
		}
	}
}

// pushDue pushes the jobs whose time has come, and takes them off the load.
func (e *experiment) pushDue(ctx context.Context, load *[]arrival, path string,
	start time.Time) error {
	now, due := e.life(time.Since(start)), 0
	for due < len(*load) && (*load)[due].at <= now {
		due++
	}
	err := e.push(ctx, (*load)[:due], path)
	*load = (*load)[due:]
	return err
}

// push pushes jobs, those of one queue together.
func (e *experiment) push(ctx context.Context, due []arrival, path string) error {
	jobs := map[string][][]any{}
	for _, j := range due {
		jobs[j.queue] = append(jobs[j.queue], e.words(path, j))
	}
	for name, args := range jobs {
		if _, err := e.Client.PushBulk(ctx, "Test::Work", args,
			queue.Options{Queue: name}); err != nil {
			return err
		}
	}
	return nil
}

// words are the arguments of a job that is pushed now.
func (e *experiment) words(path string, j arrival) []any {
	return []any{path, j.queue, time.Now().UnixMicro(), e.real(j.takes).Microseconds(),
		cmp.Or(j.host, nobody)}
}

// nobody stands for the host of a job that has none.
const nobody = "-"

func (e *experiment) look(ctx context.Context, now time.Duration) (look, error) {
	l := look{now, map[string]int{}, map[string]time.Duration{}}
	sizes, oldest := map[string]*redis.IntCmd{}, map[string]*redis.StringCmd{}
	if _, err := e.Raw.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, q := range queues {
			sizes[q], oldest[q] = p.LLen(ctx, "queue:"+q), p.LIndex(ctx, "queue:"+q, -1)
		}
		return nil
	}); err != nil && !errors.Is(err, redis.Nil) {
		return l, err
	}
	parked, err := lanes.Control{Store: e.Store}.Parked(ctx)
	if err != nil {
		return l, err
	}
	for _, q := range queues {
		l.size[q] = int(sizes[q].Val() + parked[q])
		if j, err := envelope.ParseJob(oldest[q].Val()); err == nil {
			l.age[q] = e.life(time.Since(j.Time("enqueued_at")))
		}
	}
	return l, nil
}

// readRuns reads the lines that the jobs have written.
func readRuns(path string, start time.Time, speed float64) (runs []ran, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	origin := start.UnixMicro()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 5 {
			return nil, fmt.Errorf("%s: a line without five words: %q", path, lines.Text())
		}
		life := func(text string) time.Duration {
			n, _ := strconv.ParseInt(text, 10, 64)
			return time.Duration(float64(n-origin)*speed) * time.Microsecond
		}
		runs = append(runs, ran{words[0], strings.TrimPrefix(words[1], nobody), life(words[2]),
			life(words[3]), life(words[4])})
	}
	slices.SortFunc(runs, func(a, b ran) int { return int(a.start - b.start) })
	return runs, lines.Err()
}
