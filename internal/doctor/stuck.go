package doctor

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// life looks whether a process is alive as a whole.
func (e *Examination) life(p inspect.Process, now time.Time) {
	for _, f := range p.Problems(now) {
		e.bad(Wrong, "processes", f.Do, "%s: %s", p.Identity, f.What)
	}
}

// longRuns looks for jobs that run for very long. Their classes may have no time limit.
func (e *Examination) longRuns(ctx context.Context) {
	list, err := e.Inspector.WorkInProgress(ctx)
	if err != nil {
		e.bad(Warning, "processes", "", "the running jobs cannot be read: %v", err)
		return
	}
	for _, w := range list {
		e.longRun(w, time.Now())
	}
}

func (e *Examination) longRun(w inspect.Work, now time.Time) {
	if f, over := w.Overlong(now, inspect.LongRun); over {
		e.bad(Warning, "processes", f.Do, "%s: %s", f.Where, f.What)
	}
}
