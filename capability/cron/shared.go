package cron

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// gem returns the gem whose slots are the entry's too. Distances and H have no slots in common with
// Ruby: there the entry's own switch in Ruby's page is for Ruby alone.
func (e *Entry) gem() Gem {
	if e.Cron == "" || strings.Contains(e.Cron, "H") {
		return ""
	}
	return e.Beside
}

// RubyNext returns when sidekiq-scheduler pushes each of its entries next. While it runs, these
// times are in the future.
func (c Control) RubyNext(ctx context.Context) (map[string]time.Time, error) {
	texts, err := c.Store.DB().Shared.HGetAll(ctx, c.Store.Keys().Key(keyNextTimes)).Result()
	if err != nil {
		return nil, fmt.Errorf("the next times of sidekiq-scheduler: %w", err)
	}
	next := map[string]time.Time{}
	for name, text := range texts {
		if t, err := time.Parse(rubyTime, text); err == nil {
			next[name] = t
		}
	}
	return next, nil
}

// Shared says why an entry cannot be pushed by Kyu and by a Ruby gem in one Redis without pushing
// some slots twice. It returns "" if they can: then both claim each slot under the same key.
func Shared(e, ruby Entry) string {
	switch {
	case e.Beside != ruby.Beside:
		return "the entry here does not say beside: " + string(ruby.Beside)
	case ruby.Every > 0:
		return "every has no common slots: Ruby counts from the start of each process"
	case strings.Contains(e.Cron, "H"):
		return "H gives other slots than the random numbers of Ruby's file"
	case e.Cron != ruby.Cron:
		return "the two have different cron expressions: " + e.Cron + " and " + ruby.Cron
	case e.TZ != ruby.TZ:
		return "the two have different time zones"
	}
	return ""
}
