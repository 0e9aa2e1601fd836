package compare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// killTest is how often a worker is killed with kill -9, and under which load.
type killTest struct {
	kills, jobs, ms int
	wait            time.Duration // for the last job, from the last kill on
}

var killTests = []killTest{{1, 600, 100, 2 * time.Minute}, {20, 6000, 50, 5 * time.Minute}}

// killed is the result of a test.
type killed struct {
	lost, twice int
	took        time.Duration // from the last kill until all jobs had ended, or until wait
}

// kills kills workers with kill -9 in the middle of their jobs, starts another one each time,
// and counts the jobs that ended in the ledger that they write.
func (c *comparison) kills(ctx context.Context) error {
	for _, x := range killTests {
		fmt.Fprintf(c.out, "kill -9 of a worker with 15 jobs in its hands, %d times, another "+
			"started at once; %d jobs of %d ms\n", x.kills, x.jobs, x.ms)
		w := lab.Table(c.out, "\tnever ended\tended twice\tall ended after\t"+
			"in a crash a running job, by its documentation")
		for _, r := range c.workers() {
			k, err := c.kill(ctx, r, x)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			after := k.took.Round(100 * time.Millisecond).String()
			if k.lost > 0 {
				after = fmt.Sprintf("not within %v", x.wait)
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", r.name, k.lost, k.twice, after, r.promise)
		}
		w.Flush()
		fmt.Fprintln(c.out)
	}
	return nil
}

// kill runs one test with one rival.
func (c *comparison) kill(ctx context.Context, r rival, x killTest) (killed, error) {
	if err := r.pusher.fill(ctx, 0, load{}); err != nil {
		return killed{}, err
	}
	l := ledger(c.File(fmt.Sprint("killed-", x.kills, "-", r.name)))
	if err := r.pusher.ledger(ctx, x.jobs, string(l), x.ms); err != nil {
		return killed{}, err
	}
	cmd, err := r.start(15, false)
	if err != nil {
		return killed{}, err
	}
	defer func() { lab.Stop(cmd) }()
	for range x.kills {
		if err := l.await(ctx, l.ended()+x.jobs/(2*x.kills+1), 20*time.Second); err != nil {
			return killed{}, err
		}
		if cmd, err = replace(r, cmd); err != nil {
			return killed{}, err
		}
	}
	start := time.Now()
	if err := l.await(ctx, x.jobs, x.wait); err != nil {
		return killed{}, err
	}
	counts, err := l.ends()
	k := killed{lost: x.jobs - len(counts), took: time.Since(start)}
	for _, n := range counts {
		if n > 1 {
			k.twice++
		}
	}
	return k, err
}

// replace kills a worker and starts another. It gives the old one if none starts.
func replace(r rival, old *exec.Cmd) (*exec.Cmd, error) {
	lab.Kill(old)
	cmd, err := r.start(15, false)
	if err != nil {
		return old, err
	}
	return cmd, nil
}

// ledger is the path of a file to which jobs write when they start and end.
type ledger string

// await returns when so many jobs have ended, or after the limit. An error means that the
// program is stopping: jobs that have not ended are not lost then.
func (l ledger) await(ctx context.Context, jobs int, limit time.Duration) error {
	for start := time.Now(); l.ended() < jobs && time.Since(start) < limit; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// ended is how many jobs have ended so far.
func (l ledger) ended() int {
	counts, _ := l.ends() // the last reader reports the error
	return len(counts)
}

// ends gives the jobs that have ended, and how often each has.
func (l ledger) ends() (map[string]int, error) {
	counts := map[string]int{}
	b, err := os.ReadFile(string(l))
	if errors.Is(err, fs.ErrNotExist) {
		return counts, nil // no job has started yet
	}
	for line := range strings.Lines(string(b)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "end "); ok {
			counts[id]++
		}
	}
	return counts, err
}
