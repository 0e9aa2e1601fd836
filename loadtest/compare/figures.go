package compare

import (
	"fmt"
	"slices"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// figures are measurements of one rival with one number of threads, one per round.
type figures []figure

func pick(all []figure, name string, threads int, pinned bool) figures {
	return slices.DeleteFunc(slices.Clone(all), func(f figure) bool {
		return f.Name != name || f.Threads != threads || f.Pinned != pinned
	})
}

// values are one column of the figures, in order of size.
func (fs figures) values(of func(figure) float64) (values []float64) {
	for _, f := range fs {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values
}

// median is 0 if there are no figures.
func (fs figures) median(of func(figure) float64) float64 {
	if len(fs) == 0 {
		return 0
	}
	return lab.Median(fs.values(of))
}

func (f figure) speed() float64     { return f.JobsPerSec }
func (f figure) workerCPU() float64 { return f.WorkerCPU }
func (f figure) storeCPU() float64  { return f.StoreCPU }
func (f figure) commands() float64  { return f.Commands }
func (f figure) rss() float64       { return f.RSS }
func (f figure) firstJob() float64  { return f.FirstJobMS }

// printDrains prints medians, spreads and ratios.
func (c *comparison) printDrains(all []figure, pinned bool) {
	title := "As the kernel schedules"
	if pinned {
		title = "Worker and Redis pinned to one core"
	}
	fmt.Fprintf(c.out, "%s: medians of %d rounds\n", title, c.rounds)
	w := lab.Table(c.out, "-c\t\tjobs/s\tmin\tmax\t× sidekiq\t× asynq\t% of bare loop\t"+
		"CPU s/M worker\tstore\tcommands/job\tRSS MB\texec to 1st job ms")
	for _, threads := range c.threads {
		speed := func(name string) float64 {
			return pick(all, name, threads, pinned).median(figure.speed)
		}
		for _, r := range c.rivals() {
			fs := pick(all, r.name, threads, pinned)
			speeds, sidekiq := fs.values(figure.speed), "sidekiq"
			if r.jobLog {
				sidekiq = "sidekiq, job log"
			}
			own := speed(r.name)
			fmt.Fprintf(w, "%d\t%s\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t%.1f\t%.1f\t%.2f\t%.0f\t"+
				"%.0f\n", threads, r.name, own, speeds[0], speeds[len(speeds)-1],
				lab.Ratio(own, speed(sidekiq)), lab.Ratio(own, speed("asynq")),
				100*lab.Ratio(own, speed("bare loop")), fs.median(figure.workerCPU),
				fs.median(figure.storeCPU), fs.median(figure.commands), fs.median(figure.rss),
				fs.median(figure.firstJob))
		}
	}
	w.Flush()
	fmt.Fprintln(c.out)
}

// printBefore prints how many times as fast the worker is as the one before. Each round gives
// the ratio of two runs that followed each other: other load on the machine changes it less
// than it changes the ratio of two medians.
func (c *comparison) printBefore(all []figure) {
	w := lab.Table(c.out, "-c\tpinned\tworker / before: median\tquartiles\t"+
		"CPU of the worker / before")
	for _, pinned := range []bool{false, true} {
		for _, threads := range c.threads {
			now := pick(all, "kyu", threads, pinned)
			before := pick(all, "kyu before", threads, pinned)
			var speed, cpu []float64
			for round := range now { // both are in the order of rounds
				speed = append(speed, lab.Ratio(now[round].JobsPerSec, before[round].JobsPerSec))
				cpu = append(cpu, lab.Ratio(now[round].WorkerCPU, before[round].WorkerCPU))
			}
			slices.Sort(speed)
			fmt.Fprintf(w, "%d\t%v\t%.3f\t%.3f to %.3f\t%.3f\n", threads, pinned,
				lab.Median(speed), speed[len(speed)/4], speed[len(speed)*3/4], lab.Median(cpu))
		}
	}
	w.Flush()
	fmt.Fprintln(c.out)
}
