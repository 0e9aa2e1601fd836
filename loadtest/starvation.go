package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// starvationOptions are the flags of the experiment.
type starvationOptions struct {
	worker, runtime, burst, dir string
	length                      time.Duration // of life
	speed                       float64       // how many times faster than life it runs
	busy                        float64
	seed                        uint64
}

const threads = 20

// arrangement is a way to spread the threads over the queues.
type arrangement struct {
	Name      string
	Story     string
	processes [][]string // the flags of each
}

func each(list ...string) (flags []string) {
	for _, q := range list {
		flags = append(flags, "-q", q)
	}
	return flags
}

func with(c int, flags []string) []string {
	return append([]string{"-c", strconv.Itoa(c)}, flags...)
}

// arrangements have 20 threads each, and so 20 connections to Postgres.
func arrangements() []arrangement {
	return []arrangement{
		{"single", "one process, -c 20 -q default -q push -q mailers -q pull: strict order",
			[][]string{with(20, each(queues...))}},
		{"split", "four processes, one queue each: default 3, push 7, mailers 1, pull 9 threads",
			[][]string{
				with(3, each("default")), with(7, each("push")), with(1, each("mailers")),
				with(9, each("pull"))}},
		{"weighted", "one process, -c 20 -q default,8 -q push,6 -q mailers,2 -q pull,1",
			[][]string{with(20, each("default,8", "push,6", "mailers,2", "pull,1"))}},
		{"rotated", "four processes, -c 5 each, all queues in strict order, each beginning with " +
			"another", [][]string{
			with(5, each("default", "push", "mailers", "pull")),
			with(5, each("push", "mailers", "pull", "default")),
			with(5, each("mailers", "pull", "default", "push")),
			with(5, each("pull", "default", "push", "mailers"))}},
	}
}

// ran is a job that has run, in times of life since the start of the experiment.
type ran struct {
	queue              string
	pushed, start, end time.Duration
}

// look is the state of the queues at a moment.
type look struct {
	at   time.Duration
	size map[string]int
	age  map[string]time.Duration // of the oldest job that waits
}

// outcome is what came of an arrangement.
type outcome struct {
	arrangement
	runs  []ran
	looks []look
}

// starvation runs the experiment, checks the known answers, and writes the report.
func starvation(ctx context.Context, o starvationOptions) error {
	b, err := findBurst(o.burst)
	if err != nil {
		return err
	}
	if o.runtime != "kyu" && o.runtime != "sidekiq" {
		return fmt.Errorf("--runtime %q: want kyu or sidekiq", o.runtime)
	}
	if o.speed <= 0 || o.length < time.Minute || o.busy <= 0 || o.busy >= 1 {
		return errors.New("want --speed above 0, --length of a minute or more, and --busy " +
			"between 0 and 1")
	}
	s, err := newSite(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	burstAt := o.length / 6
	load := workload(o.seed, threads, o.busy, o.length, burstAt, b)
	fmt.Printf("%s: %d jobs in %v, %.0f times faster than life, on %s; at %v %s\n",
		runtimeName(o.runtime), len(load), o.length, o.speed, model(), burstAt, b.story)
	left := time.Duration(float64(o.length)/o.speed) * time.Duration(len(arrangements()))
	var all []*outcome
	for _, a := range arrangements() {
		fmt.Fprintf(os.Stderr, "%s: %s (about %v left)\n", a.Name, a.Story, left.Round(time.Second))
		got, err := s.play(ctx, a, load, o)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		all = append(all, got)
		left -= time.Duration(float64(o.length) / o.speed)
	}
	answers, wrong := s.knownAnswers(ctx, o)
	r := newReport(o, b, burstAt, len(load), all, answers)
	r.print(os.Stdout)
	if err := r.write(o.dir); err != nil {
		return err
	}
	return wrong
}

func runtimeName(name string) string {
	return map[string]string{"kyu": "Kyu", "sidekiq": "Sidekiq 6.4.1"}[name]
}

// launch starts one process of a runtime.
func (s *site) launch(o starvationOptions, flags []string) (*exec.Cmd, error) {
	if o.runtime == "kyu" {
		return s.spawn(false, o.worker,
			append([]string{"--test-jobs", "--log-level", "warn", "-t", "1"}, flags...)...)
	}
	path := filepath.Join(s.dir, "jobs.rb")
	if err := os.WriteFile(path, []byte(rubyJobs), 0o600); err != nil {
		return nil, err
	}
	return s.spawn(false, "env",
		append([]string{"JOB_LOG=off", "ruby", sidekiqBin, "-r", path, "-t", "1"}, flags...)...)
}

// launchAll starts the processes of an arrangement, and waits until all are there.
func (s *site) launchAll(ctx context.Context, o starvationOptions,
	processes [][]string) (stopAll func(), err error) {
	var cmds []*exec.Cmd
	stopAll = func() {
		for _, c := range cmds {
			c.Process.Signal(os.Interrupt)
		}
		for _, c := range cmds {
			stop(c)
		}
	}
	for _, flags := range processes {
		c, err := s.launch(o, flags)
		if err != nil {
			stopAll()
			return nil, err
		}
		cmds = append(cmds, c)
	}
	for limit := time.Now().Add(30 * time.Second); s.raw.SCard(ctx,
		"processes").Val() < int64(len(processes)); {
		if time.Now().After(limit) || ctx.Err() != nil {
			stopAll()
			return nil, errors.New("the processes do not all start within 30 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
	return stopAll, nil
}

// play runs the load on an arrangement, for as long as the load lasts.
func (s *site) play(ctx context.Context, a arrangement, load []arrival,
	o starvationOptions) (*outcome, error) {
	s.raw.FlushAll(ctx)
	stopAll, err := s.launchAll(ctx, o, a.processes)
	if err != nil {
		return nil, err
	}
	defer stopAll()
	path := filepath.Join(s.dir, "runs-"+a.Name)
	start := time.Now()
	watching, stopWatching := context.WithCancel(ctx)
	looks := make(chan []look, 1)
	go func() { looks <- s.watch(watching, start, o) }() // ends with watching
	err = s.feed(ctx, load, start, path, o)
	stopWatching()
	got := &outcome{arrangement: a, looks: <-looks}
	if err != nil {
		return nil, err
	}
	got.runs, err = readRuns(path, start, o.speed)
	return got, err
}

// feed pushes each job when its moment has come, and returns at the end of the load.
func (s *site) feed(ctx context.Context, load []arrival, start time.Time, path string,
	o starvationOptions) error {
	client := queue.NewClient(s.store)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.Duration(float64(o.length) / o.speed)
	for next := 0; time.Since(start) < end; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		due := map[string][][]any{}
		for ; next < len(load) &&
			time.Since(start) >= time.Duration(float64(load[next].at)/o.speed); next++ {
			j := load[next]
			due[j.queue] = append(due[j.queue], []any{path, j.queue, time.Now().UnixMicro(),
				int64(float64(j.takes.Microseconds()) / o.speed)})
		}
		for name, jobs := range due {
			if _, err := client.PushBulk(ctx, "Test::Work", jobs,
				queue.Options{Queue: name}); err != nil {
				return err
			}
		}
	}
	return nil
}

// watch looks at the queues ten times a second.
func (s *site) watch(ctx context.Context, start time.Time, o starvationOptions) (looks []look) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	life := func(d time.Duration) time.Duration { return time.Duration(float64(d) * o.speed) }
	for {
		select {
		case <-ctx.Done():
			return looks
		case <-tick.C:
		}
		l := look{life(time.Since(start)), map[string]int{}, map[string]time.Duration{}}
		sizes, oldest := map[string]*redis.IntCmd{}, map[string]*redis.StringCmd{}
		if _, err := s.raw.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, q := range queues {
				sizes[q], oldest[q] = p.LLen(ctx, "queue:"+q), p.LIndex(ctx, "queue:"+q, -1)
			}
			return nil
		}); err != nil && !errors.Is(err, redis.Nil) {
			continue
		}
		for _, q := range queues {
			l.size[q] = int(sizes[q].Val())
			if j, err := envelope.ParseJob(oldest[q].Val()); err == nil {
				l.age[q] = life(time.Since(j.Time("enqueued_at")))
			}
		}
		looks = append(looks, l)
	}
}

// readRuns reads what the jobs have written.
func readRuns(path string, start time.Time, speed float64) (runs []ran, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	origin := start.UnixMicro()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 4 {
			return nil, fmt.Errorf("%s: a broken line: %q", path, lines.Text())
		}
		life := func(text string) time.Duration {
			n, _ := strconv.ParseInt(text, 10, 64)
			return time.Duration(float64(n-origin)*speed) * time.Microsecond
		}
		runs = append(runs, ran{words[0], life(words[1]), life(words[2]), life(words[3])})
	}
	slices.SortFunc(runs, func(a, b ran) int { return int(a.start - b.start) })
	return runs, nil
}
