package top

import (
	"slices"
	"strings"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/kyujobs/kyu/queue/inspect"
)

// busyView lists the running jobs.
type busyView struct{}

func (busyView) name() string { return "busy" }

func (busyView) orders() []string { return []string{"running", "class", "queue"} }

func (busyView) need(*page, int, int) need { return need{parts: []part{partWork}} }

func (busyView) show(k *known, p *page, s screen) content {
	list := slices.Clone(k.work)
	switch p.sort {
	case 1:
		slices.SortStableFunc(list, func(a, b inspect.Work) int {
			return strings.Compare(classOf(a.Job), classOf(b.Job))
		})
	case 2:
		slices.SortStableFunc(list, func(a, b inspect.Work) int {
			return strings.Compare(a.Queue, b.Queue)
		})
	}
	g := &grid{columns: []column{{title: "RUNNING", right: true}, {title: "CLASS"},
		{title: "QUEUE"}, {title: "ARGS", text: true}, {title: "PROCESS", text: true},
		{title: "JID", name: true, extra: true}, {title: "TID", extra: true}}}
	for _, w := range list {
		if !p.filter.Match(w.Payload+" "+w.Process+" "+w.TID, w.Job, s.now) {
			continue
		}
		r := row{key: w.Process + " " + w.TID, cells: []string{
			text.Age(s.now.Sub(w.RunAt).Seconds()), classOf(w.Job), w.Queue, argsOf(w.Job),
			w.Process, "", w.TID}}
		if w.Job != nil {
			r.cells[5] = w.Job.JID
		}
		g.rows = append(g.rows, r)
	}
	_, read := k.read[partWork]
	return content{title: "busy: running jobs" + inTurn(k.workDone, k.workAt, s.now), grid: g,
		total: len(g.rows), empty: emptyText(read, "no job runs"),
		keys: []string{"enter job", "s sort", "/ filter"}}
}

func (busyView) open(k *known, r row) view {
	for _, w := range k.work {
		if w.Process+" "+w.TID != r.key || w.Job == nil {
			continue
		}
		place := inspect.Place{Kind: inspect.InFlight, Queue: w.Queue, Process: w.Process}
		return jobView{Ref{JID: w.Job.JID, Raw: w.Payload, Place: place}}
	}
	return nil
}

func (busyView) act(*known, *page, string, []row) (r Request, ok bool) { return r, false }
