package cron

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// own reads Kyu's own form.
func (r *reader) own(n *yaml.Node) {
	tz := ""
	for _, m := range members(n) {
		switch m.key {
		case "name":
			r.schedule.Name = r.text(m)
		case "tz":
			tz = r.text(m)
		case "entries":
			r.each(m.value, func(name string, n *yaml.Node) { r.ownEntry(name, tz, n) })
		default:
			r.problem(m.value, "%s: a schedule has name, tz and entries, and nothing else", m.key)
		}
	}
}

// ownEntry reads an entry. tz is the time zone of the file.
func (r *reader) ownEntry(name, tz string, n *yaml.Node) {
	e := Entry{Name: name}
	for _, m := range members(n) {
		switch m.key {
		case "name":
		case "tz":
			e.TZ = r.text(m)
		case "misfire":
			e.Misfire = Misfire(r.text(m))
		case "overlap":
			e.NoOverlap = r.oneOf(m, "skip", "allow") == "skip"
		case "overlap_for":
			e.OverlapFor = r.duration(m)
		case "only_if":
			e.OnlyIf = r.conditions(m.value)
		case "beside":
			e.Beside = Gem(r.text(m))
		case "extra":
			r.decode(m, &e.Extra)
		default:
			if !r.common(&e, m) {
				r.problem(m.value, "entry %s: the key %s is not known", name, m.key)
			}
		}
	}
	if e.Every == 0 && e.TZ == "" {
		if _, zone, err := parseExpression(e.Cron, name); err == nil && zone == "" {
			e.TZ = tz
		}
	}
	r.add(n, e)
}

// common reads a key that all forms have. It reports whether it knows the key.
func (r *reader) common(e *Entry, m member) bool {
	switch m.key {
	case "cron":
		e.Cron = r.text(m)
	case "every":
		e.Every = r.duration(m)
	case "class":
		e.Class = strings.TrimPrefix(r.text(m), "::")
	case "queue":
		e.Queue = strings.TrimPrefix(r.text(m), ":")
	case "args":
		e.Args = r.args(m)
	case "description":
		e.Description = r.text(m)
	case "retry":
		e.Retry = r.text(m)
	case "enabled":
		e.Disabled = !r.yes(m)
	default:
		return false
	}
	return true
}

// conditions reads one condition or a list of them.
func (r *reader) conditions(n *yaml.Node) (list []Condition) {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			list = append(list, r.conditions(item)...)
		}
		return list
	}
	if n.Kind != yaml.MappingNode {
		r.problem(n, "only_if: want {queue: NAME, size_below: N} or {queue: NAME, latency_below: 5m}")
		return nil
	}
	var c Condition
	for _, m := range members(n) {
		switch m.key {
		case "queue":
			c.Queue = r.text(m)
		case "size_below":
			r.decode(m, &c.SizeBelow)
		case "latency_below":
			c.LatencyBelow = r.duration(m)
		default:
			r.problem(m.value, "only_if: the key %s is not known: want queue, size_below, "+
				"latency_below", m.key)
		}
	}
	return []Condition{c}
}

// text reads a scalar.
func (r *reader) text(m member) string {
	if m.value.Kind != yaml.ScalarNode {
		r.problem(m.value, "%s: want a text, not a list or a mapping", m.key)
		return ""
	}
	if strings.Contains(m.value.Value, "<%") {
		r.problem(m.value, "%s: an ERB tag (<%%): no Ruby is here to run it: write the value itself",
			m.key)
		return ""
	}
	return m.value.Value
}

func (r *reader) oneOf(m member, words ...string) string {
	text := strings.TrimPrefix(r.text(m), ":")
	for _, w := range words {
		if text == w {
			return w
		}
	}
	r.problem(m.value, "%s %q: want %s", m.key, text, strings.Join(words, " or "))
	return ""
}

func (r *reader) yes(m member) bool {
	switch strings.ToLower(r.text(m)) { // as Ruby reads switches
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	default:
		r.problem(m.value, "%s %q: want true or false", m.key, m.value.Value)
		return false
	}
}

func (r *reader) duration(m member) time.Duration {
	text := r.text(m)
	if text == "" {
		return 0 // reported
	}
	d, err := parseDuration(text)
	if err != nil {
		r.problem(m.value, "%s %w", m.key, err)
	}
	return d
}

// args reads the arguments of a job. A value that is no list is the only argument.
func (r *reader) args(m member) (list []any) {
	var v any
	r.decode(m, &v)
	if list, ok := v.([]any); ok || v == nil {
		return list
	}
	return []any{v}
}

func (r *reader) decode(m member, out any) {
	if err := m.value.Decode(out); err != nil {
		r.problem(m.value, "%s: %w", m.key, err)
	}
}
