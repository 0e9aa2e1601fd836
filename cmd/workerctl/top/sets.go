package top

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

// setView lists the jobs of a set or a queue, a page at a time.
type setView struct{ set Set }

func (v setView) name() string { return string(v.set) }

func (setView) orders() []string { return nil }

func (v setView) need(p *page, first, rows int) need {
	return need{parts: []part{partPage},
		window: Window{Set: v.set, Filter: p.where, Offset: first, Count: rows}}
}

func (v setView) show(k *known, p *page, s screen) content {
	c := content{title: v.name(), grid: &grid{columns: []column{{title: v.when(), right: true},
		{title: "CLASS"}, {title: "QUEUE"}, {title: "ARGS", text: true},
		{title: "ERROR", text: true}, {title: "RETRY", right: true, extra: true},
		{title: "JID", name: true, extra: true}}},
		empty: "reading…", keys: v.keys()}
	if k.page.Set != v.set || k.page.Filter != p.where {
		c.total = p.total
		return c
	}
	c.total, c.offset, c.empty = k.page.Total, k.page.Offset, "no jobs"
	if p.where != "" {
		c.title += ", read at " + k.page.At.Local().Format(time.TimeOnly)
	}
	for _, e := range k.page.Entries {
		c.grid.rows = append(c.grid.rows, entryRow(e, s.now))
	}
	return c
}

// when is the title of the column of times.
func (v setView) when() string {
	switch v.set.kind() {
	case inspect.InDead:
		return "DIED"
	case inspect.InHold:
		return "HELD"
	case inspect.InQueue:
		return "PUSHED"
	}
	return "DUE"
}

func (v setView) keys() []string {
	if _, queue := v.set.Queue(); queue {
		return []string{"enter job", "d delete", "n/p page"}
	}
	keys := []string{"enter job", "space mark"}
	if v.set.kind() == inspect.InHold {
		keys = append(keys, "r/R release")
	} else {
		keys = append(keys, "r/R retry")
	}
	if v.set != Dead && v.set.kind() != inspect.InHold {
		keys = append(keys, "x/X kill")
	}
	return append(keys, "d/D delete", "/ filter", "n/p page")
}

// entryRow is the row of a job.
func entryRow(e queue.Entry, now time.Time) row {
	r := row{key: keyOf(e), cells: []string{"", "(not a job)", "", e.Raw, "", "", ""}}
	if !e.At.IsZero() {
		r.cells[0] = text.FromNow(e.At.Sub(now))
	}
	if e.Job == nil {
		return r
	}
	r.cells[1], r.cells[2], r.cells[3] = classOf(e.Job), e.Job.Queue, argsOf(e.Job)
	if class := e.Job.String("error_class"); class != "" {
		r.cells[4] = class + ": " + e.Job.String("error_message")
	}
	if n, ok := e.Job.RetryCount(); ok {
		r.cells[5] = strconv.Itoa(n)
	}
	r.cells[6] = e.Job.JID
	return r
}

// keyOf names an entry. Two jobs of a set may have one JID.
func keyOf(e queue.Entry) string { return e.Raw }

// classOf is the class of a job.
func classOf(j *queue.Job) string {
	if j == nil {
		return "(not a job)"
	}
	return j.DisplayClass()
}

// argsOf are the arguments of a job.
func argsOf(j *queue.Job) string {
	if j == nil {
		return ""
	}
	return string(j.DisplayArgs())
}

func (v setView) open(k *known, r row) view {
	for _, e := range k.page.Entries {
		if keyOf(e) != r.key {
			continue
		}
		ref := Ref{JID: jidOf(e), Raw: e.Raw, Place: inspect.Place{Kind: v.set.kind(), At: e.At}}
		ref.Place.Class, _ = v.set.Class()
		if name, ok := v.set.Queue(); ok {
			ref.Place.Queue = name
			ref.Place.Before = int64(k.page.Offset + slices.IndexFunc(k.page.Entries,
				func(other queue.Entry) bool { return keyOf(other) == r.key }))
		}
		return jobView{ref}
	}
	return nil
}

func (v setView) act(_ *known, p *page, key string, rows []row) (r Request, ok bool) {
	kind := v.set.kind()
	verbs := map[string]Verb{"r": Retry, "x": Kill, "d": Delete}
	switch kind {
	case inspect.InQueue:
		verbs = map[string]Verb{"d": Delete}
	case inspect.InHold:
		verbs = map[string]Verb{"r": Release, "d": Delete}
	case inspect.InDead:
		delete(verbs, "x")
	}
	if verb, small := verbs[key]; small {
		r = Request{Verb: verb, Set: v.set}
		for _, row := range rows {
			r.Jobs = append(r.Jobs, entryOf(row, p))
		}
		return r, true
	}
	small := map[string]string{"R": "r", "X": "x", "D": "d"}[key]
	verb, ok := verbs[small]
	if !ok || kind == inspect.InQueue {
		return r, false
	}
	return Request{Verb: verb, Set: v.set, Filter: p.where}, true
}

// entryOf is the entry of a row, which may be on a page that is not shown any more.
func entryOf(r row, p *page) queue.Entry {
	if e, marked := p.marks[r.key].(queue.Entry); marked {
		return e
	}
	e := queue.Entry{Raw: r.key}
	e.Job, _ = envelope.ParseJob(envelope.Original(r.key))
	return e
}

// heldView lists the classes that have held jobs.
type heldView struct{}

func (heldView) name() string { return "held" }

func (heldView) orders() []string { return nil }

func (heldView) need(*page, int, int) need { return need{parts: []part{partHeld}} }

func (heldView) show(k *known, p *page, s screen) content {
	g := &grid{columns: []column{{title: "CLASS", name: true}, {title: "JOBS", right: true},
		{title: "SINCE"}}}
	for _, h := range k.held {
		g.rows = append(g.rows, row{key: h.Class, cells: []string{h.Class, text.Grouped(h.Size),
			text.FromNow(h.Oldest.Sub(s.now))}})
	}
	g.rows = p.keep(g.rows, s.now)
	_, read := k.read[partHeld]
	return content{title: "held: classes for which a worker had no handler", grid: g,
		total: len(g.rows), empty: emptyText(read, "no job is held"),
		keys: []string{"enter jobs", "/ filter"}}
}

func (heldView) open(_ *known, r row) view { return setView{HeldSet(r.key)} }

func (heldView) act(*known, *page, string, []row) (r Request, ok bool) { return r, false }

// inTurn says how old figures are that are read in turn.
func inTurn(all bool, oldest, now time.Time) string {
	switch {
	case oldest.IsZero() && all: // there is nothing to read
		return ""
	case !all:
		return ", not all read yet"
	}
	if old := now.Sub(oldest).Truncate(time.Second); old >= 3*time.Second {
		return fmt.Sprintf(", figures up to %s old", old)
	}
	return ""
}
