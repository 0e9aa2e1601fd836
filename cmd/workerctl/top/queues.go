package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/kyujobs/kyu/internal/text"
)

// queuesView lists the queues.
type queuesView struct{}

func (queuesView) name() string { return "queues" }

func (queuesView) orders() []string { return []string{"name", "size", "age"} }

func (queuesView) need(*page, int, int) need {
	return need{parts: []part{partQueues, partProcesses}}
}

func (queuesView) show(k *known, p *page, s screen) content {
	list := slices.Clone(k.queues)
	switch p.sort {
	case 1:
		slices.SortStableFunc(list, func(a, b Queue) int { return cmp.Compare(b.Size, a.Size) })
	case 2:
		slices.SortStableFunc(list, func(a, b Queue) int {
			return cmp.Compare(b.Latency, a.Latency)
		})
	}
	g := queueGrid(k, list)
	g.rows = p.keep(g.rows, s.now)
	_, read := k.read[partQueues]
	return content{title: "queues", grid: g, total: len(g.rows),
		empty: emptyText(read, "no job was pushed yet"),
		keys:  []string{"enter jobs", "p pause", "s sort", "/ filter"}}
}

// queueGrid is a grid of queues.
func queueGrid(k *known, list []Queue) *grid {
	g := &grid{columns: []column{{title: "QUEUE", name: true}, {title: "SIZE", right: true},
		{title: "OLDEST", right: true}, {title: "STATE"}, {title: "IN/S", right: true, extra: true},
		{title: "OUT/S", right: true, extra: true}, {title: "EMPTY IN", right: true, extra: true},
		{title: "THREADS", right: true, extra: true},
		{title: "IN FLIGHT", right: true, extra: true},
		{title: "PROCESSES", right: true, extra: true}}}
	for _, q := range list {
		state, s := queueState(k, q)
		r := row{key: q.Name, style: s, cells: []string{q.Name, text.Grouped(q.Size),
			text.Age(q.Latency), state, rate(q.In), rate(q.Out), "", "", "", ""}}
		if q.Empty != nil {
			r.cells[6] = text.Age(*q.Empty)
		}
		if q.InFlight != nil {
			r.cells[8] = text.Grouped(*q.InFlight)
		}
		if processes, threads := k.serving(q.Name); k.complete {
			r.cells[7], r.cells[9] = strconv.Itoa(threads), strconv.Itoa(processes)
		}
		g.rows = append(g.rows, r)
	}
	return g
}

// queueState says why no job of a queue runs, if none does.
func queueState(k *known, q Queue) (state string, s style) {
	processes, _ := k.serving(q.Name)
	switch {
	case q.Paused:
		return "paused", warning
	case k.complete && processes == 0 && q.Size > 0:
		return "unserved", alarm
	}
	return "", plain
}

// rate is a number a second, or "" for none.
func rate(n *float64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%.1f", *n)
}

// emptyText is what is said of a list without rows.
func emptyText(read bool, text string) string {
	if read {
		return text
	}
	return "reading…"
}

func (queuesView) open(_ *known, r row) view { return setView{QueueSet(r.key)} }

func (queuesView) act(k *known, _ *page, key string, rows []row) (r Request, ok bool) {
	if key != "p" {
		return r, false
	}
	r.Verb = Pause
	for _, row := range rows {
		r.Names = append(r.Names, row.key)
	}
	for _, q := range k.queues {
		if len(rows) > 0 && q.Name == rows[0].key && q.Paused {
			r.Verb = Unpause
		}
	}
	return r, true
}
