package top

import (
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// jobView shows all about one job.
type jobView struct{ ref Ref }

func (v jobView) name() string { return "job " + v.ref.JID }

func (jobView) orders() []string { return nil }

func (v jobView) need(*page, int, int) need { return need{parts: []part{partJob}, job: v.ref} }

func (v jobView) show(k *known, _ *page, s screen) content {
	c := content{title: v.name(), empty: "reading…", keys: v.keys(k)}
	job := k.job
	if job.JID != v.ref.JID || v.ref.Raw != "" && job.Raw != v.ref.Raw {
		return c
	}
	if k.jobErr != nil {
		c.lines = []line{say(warning, k.jobErr.Error())}
		return c
	}
	c.lines = append(c.lines, value("where", whereText(job.Place, s.now), s.width, bold)...)
	for i, r := range job.Reasons {
		title := ""
		if i == 0 {
			title = "why"
		}
		c.lines = append(c.lines, value(title, r.Text, s.width, plain)...)
		if r.Do != "" {
			c.lines = append(c.lines, value("", "→ "+r.Do, s.width, good)...)
		}
	}
	if job.Job == nil {
		c.lines = append(c.lines, value("payload", job.Raw, s.width, plain)...)
	} else {
		c.lines = append(c.lines, fields(job.Job, s)...)
	}
	c.total = len(c.lines)
	return c
}

// whereText says where a job is.
func whereText(p inspect.Place, now time.Time) string {
	where := string(p.Kind)
	switch {
	case p.Kind == inspect.InQueue:
		where = "in the queue " + p.Queue
	case p.Kind == inspect.InLane:
		where = "in the lane " + p.Lane + " of the queue " + p.Queue
	case p.Kind == inspect.InHold:
		where = "held, of the class " + p.Class
	case p.Process != "":
		where += ", from the queue " + p.Queue + ", by " + p.Process
	}
	if !p.At.IsZero() {
		where += ", " + text.FromNow(p.At.Sub(now)) + ", " +
			p.At.Local().Format("2006-01-02 15:04:05 MST")
	}
	return where
}

// fields are all fields of a job, and its backtrace.
func fields(j *queue.Job, s screen) (list []line) {
	for _, name := range j.Fields() {
		if name == "error_backtrace" {
			continue
		}
		text := j.Field(name)
		if at := j.Time(name); strings.HasSuffix(name, "_at") && !at.IsZero() {
			text += "  (" + at.Local().Format("2006-01-02 15:04:05 MST") + ")"
		}
		list = append(list, value(name, text, s.width, plain)...)
	}
	if trace := j.Backtrace(); len(trace) > 0 {
		list = append(list, line{}, say(bold, "backtrace"))
		for _, l := range trace {
			for _, part := range fold(l, s.width-2) {
				list = append(list, say(plain, "  "+part))
			}
		}
	}
	return list
}

// value is a name and a text, in as many lines as the text needs.
func value(name, content string, width int, s style) (list []line) {
	const left = 16
	for i, part := range fold(content, width-left) {
		if i > 0 {
			name = ""
		}
		list = append(list, line{{pad(fit(name, left-1), left, false), faint}, {part, s}})
	}
	return list
}

// found is the reference with the place, if the job was found by its JID.
func (v jobView) found(k *known) Ref {
	if v.ref.Raw == "" && k.job.JID == v.ref.JID {
		return k.job.Ref
	}
	return v.ref
}

// set is the set in which a job was seen, or "" if it can be in none.
func (r Ref) set() Set {
	switch r.Place.Kind {
	case inspect.InRetry, inspect.InSchedule, inspect.InDead:
		return Set(r.Place.Kind)
	case inspect.InHold:
		return HeldSet(r.Place.Class)
	case inspect.InQueue:
		return QueueSet(r.Place.Queue)
	}
	return ""
}

// keys are those of the set in which the job is, about this job.
func (v jobView) keys(k *known) []string {
	keys := []string{"j/k scroll", "esc back"}
	for _, verb := range []struct{ key, name string }{{"r", "retry"}, {"x", "kill"},
		{"d", "delete"}} {
		r, ok := v.act(k, nil, verb.key, nil)
		if ok && r.Verb == Release {
			verb.name = "release"
		}
		if ok {
			keys = append(keys, verb.key+" "+verb.name)
		}
	}
	return keys
}

func (jobView) open(*known, row) view { return nil }

func (v jobView) act(k *known, _ *page, key string, _ []row) (r Request, ok bool) {
	ref := v.found(k)
	set := ref.set()
	if set == "" || ref.Raw == "" || strings.ToLower(key) != key {
		return r, false
	}
	return setView{set}.act(k, &page{}, key, []row{{key: ref.Raw}})
}
