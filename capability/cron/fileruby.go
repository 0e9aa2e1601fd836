package cron

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// random is an ERB tag that writes a random whole number, as in Mastodon's sidekiq.yml.
var random = regexp.MustCompile(`<%=\s*(?:Kernel\.|Random\.)?rand\(\s*(\d+)\s*(\.{2,3})\s*(\d+)\s*\)` +
	`\s*-?%>`)

// randoms replaces random numbers by H. Ruby draws them anew in each process and at each start, so
// its processes disagree about the slots.
func (r *reader) randoms(text []byte) []byte {
	return random.ReplaceAllFunc(text, func(tag []byte) []byte {
		m := random.FindSubmatch(tag)
		low, _ := strconv.Atoi(string(m[1]))
		high, _ := strconv.Atoi(string(m[3]))
		if len(m[2]) == 3 {
			high--
		}
		h := fmt.Sprintf("H(%d-%d)", low, high)
		if low == 0 && high == 59 {
			h = "H"
		}
		line := 1 + bytes.Count(text[:bytes.Index(text, tag)], []byte("\n"))
		note := fmt.Sprintf("%s:%d: %s is read as %s: a number that follows from the entry's name, "+
			"the same in all processes", r.path, line, tag, h)
		if !slices.Contains(r.schedule.Notes, note) {
			r.schedule.Notes = append(r.schedule.Notes, note)
		}
		return []byte(h)
	})
}

// sidekiqScheduler reads the section :scheduler: of a sidekiq.yml.
func (r *reader) sidekiqScheduler(n *yaml.Node) {
	off := false
	for _, m := range members(n) {
		switch m.key {
		case "schedule":
		case "listened_queues_only":
			r.schedule.ListenedQueuesOnly = r.yes(m)
		case "enabled":
			off = !r.yes(m)
		case "dynamic":
			if r.yes(m) {
				r.note(m.value, "dynamic: changes of the schedule in Redis are not followed here")
			}
		case "dynamic_every", "rufus_scheduler_options":
			r.note(m.value, "%s has no effect here", m.key)
		default:
			r.problem(m.value, ":scheduler: has no key %s", m.key)
		}
	}
	schedule := child(n, "schedule")
	switch {
	case schedule == nil:
		r.problem(n, ":scheduler: has no :schedule:")
	case off:
		r.note(n, "enabled: false: this schedule has no entries")
	default:
		r.each(schedule, r.rubyEntry)
	}
}

// rubyEntry reads an entry of sidekiq-scheduler.
func (r *reader) rubyEntry(name string, n *yaml.Node) {
	e := Entry{Name: name, Class: name, Beside: SidekiqScheduler}
	for _, m := range members(n) {
		switch m.key {
		case "cron", "every", "interval":
			r.rubyTiming(&e, m)
		case "at", "in":
			r.problem(m.value, "entry %s: %s: a job that is due once is no entry: push it with "+
				"a time", name, m.key)
		case "rails_env":
			list := strings.Split(strings.ReplaceAll(r.text(m), " ", ""), ",")
			if !slices.Contains(list, r.environment) {
				r.note(m.value, "entry %s is left out: it is for %s", name, m.value.Value)
				return
			}
		case "include_metadata":
			if r.yes(m) {
				r.problem(m.value, "entry %s: include_metadata is not known here: the slot is in "+
					"the field kyu of the payload", name)
			}
		default:
			if !r.common(&e, m) {
				r.extra(&e, m)
			}
		}
	}
	if e.Retry == "" && strings.HasPrefix(e.Class, "Scheduler::") {
		e.Retry = "0" // all of Mastodon's have sidekiq_options retry: 0, which only Ruby can see
	}
	r.add(n, e)
}

// extra keeps a key that sidekiq-scheduler hands to the job.
func (r *reader) extra(e *Entry, m member) {
	var v any
	r.decode(m, &v)
	if e.Extra == nil {
		e.Extra = map[string]any{}
	}
	e.Extra[m.key] = v
}

// rubyTiming reads '5m', or ['5m', {first_in: '4m'}] with options.
func (r *reader) rubyTiming(e *Entry, m member) {
	value := m
	if m.value.Kind == yaml.SequenceNode && len(m.value.Content) > 0 {
		value.value = m.value.Content[0]
		for _, options := range m.value.Content[1:] {
			r.rubyOptions(e, options)
		}
	}
	switch {
	case m.key == "cron":
		e.Cron = r.text(value)
	case e.Cron == "": // cron comes before every and interval
		e.Every = r.duration(value)
	}
	if e.Cron != "" {
		e.Every = 0
	}
}

func (r *reader) rubyOptions(e *Entry, n *yaml.Node) {
	for _, o := range members(n) {
		switch o.key {
		case "first_in", "first_at", "first":
			r.note(o.value, "entry %s: %s has no effect here: the first slot follows from the name",
				e.Name, o.key)
		case "overlap", "allow_overlap", "allow_overlapping":
			e.NoOverlap = !r.yes(o)
		default:
			r.problem(o.value, "entry %s: the option %s is not known", e.Name, o.key)
		}
	}
}

// cronEntry reads an entry of sidekiq-cron.
func (r *reader) cronEntry(name string, n *yaml.Node) {
	e := Entry{Name: name, Beside: SidekiqCron}
	if child(n, "cron") == nil {
		r.problem(n, "%s is no entry: it has no cron. Want entries under the key entries, a "+
			":scheduler: with a :schedule:, or entries of sidekiq-cron", name)
		return
	}
	for _, m := range members(n) {
		switch m.key {
		case "name":
		case "klass":
			e.Class = r.text(m)
		case "status":
			e.Disabled = r.oneOf(m, "enabled", "disabled") == "disabled"
		case "args":
			e.Args = r.cronArgs(m)
		case "active_job", "date_as_argument", "symbolize_args":
			if r.yes(m) {
				r.problem(m.value, "entry %s: %s is not known here", name, m.key)
			}
		default:
			if m.key == "every" || !r.common(&e, m) {
				r.problem(m.value, "entry %s: the key %s is not known", name, m.key)
			}
		}
	}
	r.add(n, e)
}

// cronArgs reads arguments as sidekiq-cron does: a text may be JSON.
func (r *reader) cronArgs(m member) []any {
	if m.value.Kind == yaml.ScalarNode && m.value.Tag == "!!str" {
		var list []any // read as YAML, so that 1 stays a whole number
		if json.Valid([]byte(m.value.Value)) && yaml.Unmarshal([]byte(m.value.Value), &list) == nil {
			return list
		}
	}
	return r.args(m)
}
