package doctor

import (
	"cmp"
	"context"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
)

// Lanes looks at the queues with lanes.
func (e *Examination) Lanes(ctx context.Context) {
	control := lanes.Control{Store: e.Store}
	names, err := control.Queues(ctx)
	if err != nil {
		e.bad(Wrong, "lanes", "allow the user to read kyu:* (docs/redis.md)",
			"the lanes cannot be read: %v", err)
		return
	}
	ruby, err := control.Ruby(ctx)
	if err != nil {
		e.bad(Warning, "lanes", "", "%v", err)
	}
	before := len(e.Findings)
	for _, name := range names {
		e.laned(ctx, control, name, ruby[name])
	}
	if len(names) > 0 && len(e.Findings) == before {
		e.good("lanes", "%d queues have lanes", len(names))
	}
}

// laned looks at the lanes of one queue. ruby is a process of Ruby's that serves it, or "".
func (e *Examination) laned(ctx context.Context, control lanes.Control, name, ruby string) {
	s, err := control.Status(ctx, name)
	if err != nil {
		e.bad(Warning, "lanes", "workerctl lanes set "+name+" RULE", "%v", err)
		return
	}
	now, err := e.Inspector.Now(ctx)
	if err != nil {
		e.bad(Warning, "lanes", "", "%v", err)
		return
	}
	e.besideLanes(s, ruby, now)
	leak, err := control.Leak(ctx, name)
	if err != nil {
		e.bad(Warning, "lanes", "", "%v", err)
	} else if !leak.None() {
		e.bad(Wrong, "lanes", "workerctl lanes repair "+name, "queue %s: its lanes count %d jobs "+
			"that do not run, so they run fewer than their limits say", name,
			max(leak.Jobs, leak.Places))
	}
}

// unseenFor is how long no process may have noted that it serves a queue with lanes: each does
// every 5 seconds.
const unseenFor = 30 * time.Second

// besideLanes looks for what keeps the lanes of a queue from their work. now is Redis's time.
func (e *Examination) besideLanes(s lanes.Status, ruby string, now time.Time) {
	switch {
	case s.Off():
		if s.Parked > 0 {
			e.bad(Wrong, "lanes", "workerctl lanes drain "+s.Queue, "queue %s: its lanes are off, "+
				"and %d jobs are in them: no process has put them back", s.Queue, s.Parked)
		}
	case s.Beside != "" || ruby != "" && !s.BesideRuby:
		e.bad(Warning, "lanes", "let only Kyu serve the queue; or add beside-ruby to its rule: "+
			"Ruby then runs what is in the list without limits",
			"queue %s: it has a rule, and its lanes are off, because a process of Ruby's serves "+
				"it, which cannot see parked jobs: %s", s.Queue, cmp.Or(s.Beside, ruby))
	case now.Sub(s.Seen) > unseenFor:
		e.bad(Wrong, "lanes", "start a worker of this version with -q "+s.Queue, "queue %s: it "+
			"has lanes, and no process that knows lanes serves it; %d jobs are parked", s.Queue,
			s.Parked)
	}
}
