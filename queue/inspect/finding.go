package inspect

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Finding is something that does not go on by itself, or only after long.
type Finding struct {
	What  string    `json:"what"`
	Where string    `json:"where"`          // such as "queue push"
	Since time.Time `json:"since,omitzero"` // zero if Redis does not say it
	Do    string    `json:"do"`             // a command, or what to look at
}

// findings decides what is stuck.
func (f *stuckFacts) findings() (list []Finding) {
	for i := range f.processes {
		list = append(list, f.processes[i].Problems(f.now)...)
	}
	for _, p := range f.processes {
		list = append(list, f.draining(p)...)
	}
	for _, w := range f.work {
		if found, over := w.Overlong(f.now, f.longRun); over {
			list = append(list, found)
		}
	}
	for _, info := range f.queues {
		list = append(list, f.waiting(f.status(info))...)
	}
	for _, o := range f.owners {
		list = append(list, f.abandoned(o)...)
	}
	for _, l := range f.landed {
		if f.now.Sub(l.oldest) > idleFor {
			list = append(list, Finding{fmt.Sprintf("%d jobs that a doorbell brought to %s are "+
				"not taken", l.jobs, l.process), "queue " + l.queue, l.oldest,
				"workerctl dump " + l.process})
		}
	}
	for _, o := range f.overdue {
		list = append(list, Finding{fmt.Sprintf("%d jobs are due, and no process moves them to "+
			"their queues", o.jobs), o.set, o.first, f.start("")})
	}
	for _, h := range f.held {
		list = append(list, Finding{fmt.Sprintf("%d jobs are held: no worker that took them has a "+
			"handler", h.Size), "class " + h.Class, h.Oldest,
			"deploy a worker that has one, then workerctl held " + h.Class + " release --all"})
	}
	return list
}

// Problems says whether a process is alive as a whole: it beats, its loops turn, and its handlers
// return. A process of Ruby says only the first.
func (p *Process) Problems(now time.Time) (list []Finding) {
	say := func(since time.Time, do, format string, args ...any) {
		list = append(list, Finding{fmt.Sprintf(format, args...), "process " + p.Identity, since,
			do})
	}
	dump := "workerctl dump " + p.Identity + " writes its stacks to its log; then restart it: no " +
		"job is lost"
	switch {
	case !p.Beat.IsZero() && now.Sub(p.Beat) > silentFor:
		say(p.Beat, "look whether "+p.Hostname+" is alive; systemctl status 'worker@*'",
			"it does not report")
	case !p.Turned.IsZero() && p.Beat.Sub(p.Turned) > silentFor:
		say(p.Turned, dump, "one of its loops hangs")
	}
	if p.Stuck > 0 {
		say(time.Time{}, dump, "%d handlers ignore that their time is over; other threads have "+
			"taken their places", p.Stuck)
	}
	return list
}

// Overlong reports whether a job has run for longer than a limit.
func (w *Work) Overlong(now time.Time, limit time.Duration) (f Finding, over bool) {
	if w.RunAt.IsZero() || now.Sub(w.RunAt) <= limit {
		return f, false
	}
	class, jid := "a job", ""
	if w.Job != nil {
		class, jid = w.Job.DisplayClass(), w.Job.JID
	}
	return Finding{fmt.Sprintf("%s of the queue %s has run for %s in %s", class, w.Queue,
		duration(now.Sub(w.RunAt)), w.Process), strings.TrimSpace("job " + jid), w.RunAt,
		"workerctl dump " + w.Process + " writes to its log where the job is; give the class a " +
			"time-out if it may not run that long"}, true
}

// draining looks for a quiet process that does not come to an end.
func (f *stuckFacts) draining(p Process) []Finding {
	jobs, since := 0, f.now
	for _, w := range f.work {
		if w.Process == p.Identity {
			jobs++
			if w.RunAt.Before(since) {
				since = w.RunAt
			}
		}
	}
	if !p.Quiet || jobs == 0 || f.now.Sub(since) <= drainFor {
		return nil
	}
	return []Finding{{fmt.Sprintf("it is quiet, and %d jobs still run", jobs),
		"process " + p.Identity, since, "workerctl busy --process " + p.Identity +
			"; workerctl stop " + p.Identity + " puts them back into their queues"}}
}

// waiting looks for jobs of a queue that no thread takes.
func (f *stuckFacts) waiting(q QueueStatus) []Finding {
	if q.Size == 0 {
		return nil
	}
	found := Finding{Where: "queue " + q.Name, Since: before(f.now, q.Latency)}
	switch q.State() {
	case "paused":
		found.What = fmt.Sprintf("%d jobs wait, and it is paused", q.Size)
		found.Do = "workerctl queue " + q.Name + " --unpause"
	case "unserved":
		found.What = fmt.Sprintf("%d jobs wait, and no process serves it", q.Size)
		found.Do = f.start(q.Name)
	case "quiet":
		found.What = fmt.Sprintf("%d jobs wait, and all %d processes that serve it are quiet",
			q.Size, q.Quiet)
		found.Do = "restart them, if they were not meant to stop; or " + f.start(q.Name)
	default:
		idle := f.idle(q)
		if idle == 0 {
			return nil
		}
		found.What = fmt.Sprintf("%d jobs wait beside %d idle threads", q.Size, idle)
		found.Do = "workerctl dump " + strings.Join(q.Processes, " ")
	}
	return []Finding{found}
}

// idle returns how many threads may run jobs of a queue and do not, although its oldest job waits
// for long. It is 0 if any job of the queue runs, or went out of it within the last minute: then
// the queue moves, and a beat that shows idle threads shows only a moment.
func (f *stuckFacts) idle(q QueueStatus) (idle int) {
	if q.Latency <= idleFor.Seconds() || q.Busy > 0 || q.InFlight > 0 || f.flows[q.Name].Out > 0 {
		return 0
	}
	for _, p := range f.processes {
		if slices.Contains(q.Processes, p.Identity) {
			idle += max(0, min(p.threadsFor(q.Name), p.Concurrency-p.Busy))
		}
	}
	return idle
}

// abandoned looks for jobs of a worker that is gone, which no other worker takes back.
func (f *stuckFacts) abandoned(o owner) (list []Finding) {
	since, over := o.gone()
	if !over || f.now.Sub(since) <= reclaimFor {
		return nil
	}
	for _, q := range o.queues {
		if jobs := o.inflight[q] + o.landed[q]; jobs > 0 {
			list = append(list, Finding{fmt.Sprintf("%d jobs are in flight of %s, which is gone, "+
				"and no worker takes them back", jobs, o.Identity), "queue " + q, since,
				f.start(q)})
		}
	}
	return list
}

// start is the command that starts a worker of a queue, or what to do if there are workers already
// and any worker would do.
func (f *stuckFacts) start(queue string) string {
	if queue == "" {
		if len(f.processes) > 0 {
			return "look into the logs of the workers: workerctl processes"
		}
		queue = "default"
	}
	return "worker -q " + queue + ", or systemctl start worker@" + queue
}

// before is a time some seconds ago. It is zero for the age of a job that does not say when it was
// pushed.
func before(now time.Time, seconds float64) time.Time {
	if seconds > 1e9 {
		return time.Time{}
	}
	return now.Add(-time.Duration(seconds * float64(time.Second)))
}
