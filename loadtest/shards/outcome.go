package shards

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// job is a job that ran. The times are in microseconds since 1970.
type job struct {
	level         int // of its queue: 0 is the first
	pushed, start int64
}

// outcome is the result of one run.
type outcome struct {
	shards   int
	takes    time.Duration
	rate     float64   // jobs that started in a second
	cpu      float64   // microseconds of all Redis servers for a job
	looks    float64   // in a second and shard, also those that came with a round trip
	lower    int       // jobs of lower queues
	overtook []float64 // by those that overtook a job: the age of the oldest one, in ms; sorted
}

// readJobs reads the lines that jobs of Test::Work wrote.
func readJobs(path string) (jobs []job, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var j job
		var name, host string
		var end int64
		if _, err := fmt.Sscan(lines.Text(), &name, &host, &j.pushed, &j.start, &end); err != nil {
			return nil, fmt.Errorf("the line %q: %w", lines.Text(), err)
		}
		j.level = slices.Index(names, name)
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// judge counts the jobs that started in a span, and finds those that overtook a job of a higher
// queue: it had been pushed before they started, and started after them. The time between a fetch
// and the start counts too, so one shard does not have 0 either.
func judge(jobs []job, began time.Time, took time.Duration, n int, takes time.Duration,
	cpu, looks float64) outcome {
	o := outcome{shards: n, takes: takes}
	from, to := began.UnixMicro(), began.Add(took).UnixMicro()
	var higher []job
	count := 0
	for _, j := range jobs {
		if j.level < len(names)-1 {
			higher = append(higher, j)
		}
		if j.start >= from && j.start < to {
			count++
		}
	}
	slices.SortFunc(higher, func(a, b job) int { return int(a.pushed - b.pushed) })
	for _, j := range jobs {
		if j.level == 0 || j.start < from || j.start >= to {
			continue
		}
		o.lower++
		for _, h := range higher { // the first is the oldest
			if h.pushed >= j.start {
				break
			}
			if h.level < j.level && h.start > j.start {
				o.overtook = append(o.overtook, float64(j.start-h.pushed)/1000)
				break
			}
		}
	}
	slices.Sort(o.overtook)
	o.rate = float64(count) / took.Seconds()
	o.cpu = cpu * 1e6 / max(float64(count), 1)
	o.looks = looks / took.Seconds() / float64(n)
	return o
}

// show prints the outcomes.
func show(out io.Writer, rows []outcome) {
	table := lab.Table(out, "shards\tjob\tjobs/s\tRedis µs/job\tlooks/s and shard\t"+
		"overtook\tage ms: p50\tp99\tmax")
	for _, o := range rows {
		share := 100 * lab.Ratio(float64(len(o.overtook)), float64(o.lower))
		fmt.Fprintf(table, "%d\t%v\t%.0f\t%.1f\t%.0f\t%.2f %%", o.shards, o.takes, o.rate, o.cpu,
			o.looks, share)
		for _, q := range []float64{0.5, 0.99, 1} {
			age := 0.0
			if len(o.overtook) > 0 {
				age = lab.Quantile(o.overtook, q)
			}
			fmt.Fprintf(table, "\t%.1f", age)
		}
		fmt.Fprintln(table)
	}
	table.Flush()
}
