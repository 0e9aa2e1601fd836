package inspect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// Reason is a fact about a job that explains where it is, and what a person can do about it.
type Reason struct {
	Text string `json:"text"`
	Do   string `json:"do,omitempty"` // a command, or ""
}

// facts are what an explanation depends on besides the job and its place.
type facts struct {
	now       time.Time
	queue     QueueInfo
	processes []Process         // all live ones
	served    map[string]Served // by identity, of Kyu's workers
}

// Explain says why a job is where it is, and does not run.
func (in *Inspector) Explain(ctx context.Context, p Place, j *queue.Job) (list []Reason,
	err error) {
	f := facts{now: time.Now()}
	if p.Queue != "" {
		if f.queue, err = in.Queue(ctx, p.Queue); err != nil {
			return nil, err
		}
	}
	if f.processes, err = in.Processes(ctx); err != nil {
		return nil, err
	}
	if f.served, err = in.Served(ctx); err != nil {
		return nil, err
	}
	return explain(p, j, f), nil
}

// explain returns the reasons for a job.
func explain(p Place, j *queue.Job, f facts) (list []Reason) {
	say := func(do, format string, args ...any) {
		list = append(list, Reason{fmt.Sprintf(format, args...), do})
	}
	class, _ := j.Unwrapped()
	switch p.Kind {
	case InSchedule, InRetry:
		explainTime(p, j, f.now, say)
	case InHold:
		say("workerctl held "+class+" release "+j.JID, "no worker that took it has a handler for "+
			"the class %s; a worker that has one and serves the queue %s releases it", class,
			j.Queue)
	case InQueue, InLane:
		explainQueue(p, class, f, say)
	case InLanding:
		say("", "a doorbell has just brought it to %s, which takes it next", p.Process)
	case InFlight:
		explainFlight(p, f, say)
	case InRuby:
		say("", "a Ruby process runs it: %s", p.Process)
	case InOperation:
		say("workerctl operations", "the bulk operation %s goes through the queue %s, and puts "+
			"the job where it belongs at its end", p.Operation, p.Queue)
	case InTrash:
		say("workerctl undo "+p.Operation, "the operation %s has deleted it", p.Operation)
	case InDead:
		say("workerctl dead retry "+j.JID, "it is dead since %s, and runs again only by hand%s",
			ago(f.now, p.At), lastError(j))
	}
	if n, ok := j.Int("crashes"); ok && n > 0 {
		say("", "workers died %d times while it was in flight", n)
	}
	if over := j.Time("expires_at"); !over.IsZero() && over.Before(f.now) {
		say("", "it has expired, and is discarded when a worker takes it")
	}
	return list
}

// explainTime explains a job that waits for its time.
func explainTime(p Place, j *queue.Job, now time.Time, say func(string, string, ...any)) {
	command := "workerctl " + string(p.Kind) + " retry " + j.JID
	due := "it is due in " + duration(p.At.Sub(now))
	if p.At.Before(now) {
		due = "it has been due for " + duration(now.Sub(p.At)) +
			"; the next look of a worker moves it to its queue"
	}
	say(command, "%s", due)
	if n, ok := j.RetryCount(); ok {
		say("", "it has failed %d times%s", n+1, lastError(j))
	}
}

// lastError returns the last error of a job, behind a colon.
func lastError(j *queue.Job) string {
	class := j.String("error_class")
	if class == "" {
		return ""
	}
	return ": " + class + ": " + j.String("error_message")
}

// explainQueue explains a job that waits in a queue.
func explainQueue(p Place, class string, f facts, say func(string, string, ...any)) {
	if f.queue.Paused {
		say("workerctl queue "+p.Queue+" --unpause", "the queue %s is paused", p.Queue)
	}
	threads, busy, quiet, serving := 0, 0, 0, 0
	knows := false
	for _, process := range f.processes {
		if !slices.Contains(process.Queues, p.Queue) {
			continue
		}
		serving++
		if process.Quiet {
			quiet++
			continue
		}
		threads += process.Concurrency
		busy += process.Busy
		worker, ours := f.served[process.Identity]
		knows = knows || !ours || slices.Contains(worker.Classes, class)
	}
	switch {
	case serving == 0:
		say("worker -q "+p.Queue, "no process serves the queue %s", p.Queue)
	case serving == quiet:
		say("", "all %d processes that serve the queue %s are quiet: they take no more jobs",
			serving, p.Queue)
	case !knows:
		say("", "no worker that serves the queue %s has a handler for the class %s", p.Queue, class)
	case busy >= threads:
		say("workerctl busy", "all %d threads of the processes that serve the queue %s are busy",
			threads, p.Queue)
	}
	switch {
	case p.Kind == InLane:
		say("workerctl lanes "+p.Queue, "it is in the lane %q of the queue %s, behind %d jobs",
			p.Lane, p.Queue, p.Before)
	case p.Before > 0:
		say("", "%d jobs of the queue %s are taken before it", p.Before, p.Queue)
	}
}

// explainFlight explains a job that a worker of Kyu has.
func explainFlight(p Place, f facts, say func(string, string, ...any)) {
	for _, process := range f.processes {
		if process.Identity == p.Process {
			say("workerctl busy", "the process %s has it", p.Process)
			return
		}
	}
	if _, alive := f.served[p.Process]; alive {
		say("", "the process %s has it", p.Process)
		return
	}
	say("", "the process %s had it and is gone; another worker puts it back within 15 s, or the "+
		"next one that starts", p.Process)
}

// ago returns a time and how long ago it was.
func ago(now, t time.Time) string {
	return t.UTC().Format(time.RFC3339) + " (" + duration(now.Sub(t)) + " ago)"
}

// duration returns a length of time in its largest two units.
func duration(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd %dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}
