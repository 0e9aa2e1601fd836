package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
)

// late is how long after its slot an entry should have been pushed.
const late = time.Minute

// Cron looks at the entries of schedules, and at those of Ruby's gems beside them.
func (e *Examination) Cron(ctx context.Context) {
	control := cron.Control{Store: e.Store}
	list, err := control.List(ctx)
	if err != nil {
		e.bad(Wrong, "cron", "allow the user to read kyu:*, sidekiq-scheduler:*, schedules and "+
			"cron_job* (docs/redis.md)", "the entries cannot be read: %v", err)
		return
	}
	before := len(e.Findings)
	for _, s := range list {
		e.entry(s)
	}
	if len(list) > 0 {
		e.besideRuby(ctx, control, list)
	}
	if len(list) > 0 && len(e.Findings) == before {
		e.good("cron", "%d entries, each with a process that pushes it", len(list))
	}
}

// entry looks at one entry.
func (e *Examination) entry(s cron.Status) {
	switch {
	case s.Problem != "":
		e.bad(Wrong, "cron", "deploy its schedule again", "entry %s: %s", s.Name, s.Problem)
	case s.State == cron.Orphan:
		e.bad(Warning, "cron", "workerctl cron delete '"+s.Name+"'",
			"entry %s is in no schedule any more", s.Name)
	case s.State == cron.Unserved:
		e.bad(Wrong, "cron", "start a worker with --schedule, or workerctl cron delete '"+s.Name+
			"'", "entry %s: no process has pushed its schedule %s for a minute", s.Name, s.Schedule)
	case s.State == cron.Active && s.Last.After(time.Now().Add(late)):
		e.bad(Wrong, "cron", "correct the clock of Redis's machine; stop its processes, "+
			"workerctl cron delete, and start them", "entry %s: its last slot is in the future "+
			"(%s): the clock was wrong, and nothing is pushed until then", s.Name,
			s.Last.Local().Format(time.DateTime))
	}
}

// besideRuby looks for entries that both Kyu and Ruby push.
func (e *Examination) besideRuby(ctx context.Context, control cron.Control, list []cron.Status) {
	ruby, err := control.Import(ctx)
	if err != nil {
		e.bad(Warning, "cron", "correct them in Ruby",
			"entries of Ruby that are not understood: %s",
			strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	next, err := control.RubyNext(ctx)
	if err != nil {
		e.bad(Warning, "cron", "allow the user to read sidekiq-scheduler:* (docs/redis.md)", "%v",
			err)
	}
	ours := map[string]cron.Status{}
	for _, s := range list {
		ours[s.Name] = s
	}
	for _, r := range ruby.Entries {
		s, both := ours[r.Name]
		if !both || r.Disabled || s.State != cron.Active {
			continue
		}
		if at, known := next[r.Name]; known && time.Since(at) > late {
			continue // Ruby has the entry in Redis, and runs it no more
		}
		if why := cron.Shared(s.Entry, r); why != "" {
			e.bad(Wrong, "cron", "switch one side off: on Ruby's page of "+string(r.Beside)+
				", or with enabled: false in Kyu's file",
				"entry %s is pushed by Kyu and by %s, so twice: %s", s.Name, r.Beside, why)
		}
	}
}
