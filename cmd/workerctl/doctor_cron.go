package main

import (
	"context"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
)

// late is how long after its slot an entry should have been pushed.
const late = time.Minute

// cron looks at the entries of schedules, and at those of Ruby's gems beside them.
func (e *examination) cron(ctx context.Context) {
	control := cron.Control{Store: e.store}
	list, err := control.List(ctx)
	if err != nil {
		e.bad(wrong, "cron", "allow the user to read kyu:*, sidekiq-scheduler:*, schedules and "+
			"cron_job* (docs/redis.md)", "the entries cannot be read: %v", err)
		return
	}
	before := len(e.findings)
	for _, s := range list {
		e.entry(s)
	}
	if len(list) > 0 {
		e.besideRuby(ctx, control, list)
	}
	if len(list) > 0 && len(e.findings) == before {
		e.good("cron", "%d entries, each with a process that pushes it", len(list))
	}
}

// entry looks at one entry.
func (e *examination) entry(s cron.Status) {
	switch {
	case s.Problem != "":
		e.bad(wrong, "cron", "deploy its schedule again", "entry %s: %s", s.Name, s.Problem)
	case s.State == cron.Orphan:
		e.bad(warning, "cron", "workerctl cron delete '"+s.Name+"'",
			"entry %s is in no schedule any more", s.Name)
	case s.State == cron.Unserved:
		e.bad(wrong, "cron", "start a worker with --schedule, or workerctl cron delete '"+s.Name+"'",
			"entry %s: no process has pushed its schedule %s for a minute", s.Name, s.Schedule)
	case s.State == cron.Active && s.Last.After(time.Now().Add(late)):
		e.bad(wrong, "cron", "correct the clock of Redis's machine; then workerctl cron delete, and "+
			"deploy again", "entry %s: its last slot is in the future (%s): the clock was wrong, and "+
			"nothing is pushed until then", s.Name, moment(s.Last))
	}
}

// besideRuby looks for entries that both Kyu and Ruby push.
func (e *examination) besideRuby(ctx context.Context, control cron.Control, list []cron.Status) {
	ruby, err := control.Import(ctx)
	if err != nil {
		e.bad(warning, "cron", "correct them in Ruby", "entries of Ruby that are not understood: %s",
			strings.ReplaceAll(err.Error(), "\n", "; "))
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
		if why := cron.Shared(s.Entry, r); why != "" {
			e.bad(wrong, "cron", "switch one side off: in Kyu's file enabled: false, or in "+
				string(r.Beside)+" (its page, or :enabled: false in its file)",
				"entry %s is pushed by Kyu and by %s, so twice: %s", s.Name, r.Beside, why)
		}
	}
}
