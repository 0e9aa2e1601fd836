package main

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

const (
	// silentFor is the age of a beat from which doctor warns. A process beats every 5 s.
	silentFor = 15 * time.Second
	// longRun is how long a job runs until doctor warns.
	longRun = time.Hour
)

// life looks whether a process is alive as a whole: it beats, its loops turn, and its handlers
// return.
func (e *examination) life(p inspect.Process, now time.Time) {
	dump := "workerctl dump " + p.Identity + " writes its stacks to its log; then restart it: " +
		"no job is lost"
	switch silent, behind := now.Sub(p.Beat), p.Beat.Sub(p.Turned); {
	case silent > silentFor:
		e.bad(warning, "processes", "look whether its machine is alive; systemctl status worker@…",
			"%s has not reported for %v", p.Identity, silent.Round(time.Second))
	case !p.Turned.IsZero() && behind > silentFor:
		e.bad(wrong, "processes", dump, "%s does not turn: one of its loops has hung for %v",
			p.Identity, behind.Round(time.Second))
	}
	if p.Stuck > 0 {
		e.bad(wrong, "processes", dump, "%s: %d handlers ignore that their time is over; other "+
			"threads have taken their places", p.Identity, p.Stuck)
	}
}

// longRuns looks for jobs that run for very long. Their classes may have no time limit.
func (e *examination) longRuns(ctx context.Context) {
	list, err := e.inspector.WorkInProgress(ctx)
	if err != nil {
		e.bad(warning, "processes", "", "the running jobs cannot be read: %v", err)
		return
	}
	for _, w := range list {
		e.longRun(w, time.Now())
	}
}

func (e *examination) longRun(w inspect.Work, now time.Time) {
	ran := now.Sub(w.RunAt)
	if ran < longRun || w.RunAt.IsZero() {
		return
	}
	r := newRow(w.Payload, w.Job, time.Time{})
	e.bad(warning, "processes", "workerctl dump "+w.Process+" writes to its log where it is; give "+
		"the class a time-out if it may not run that long", "%s %s of the queue %s has run for %v "+
		"in %s", r.Class, r.JID, w.Queue, ran.Round(time.Minute), w.Process)
}
