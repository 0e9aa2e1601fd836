package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/kyujobs/kyu/queue/inspect"
)

// processesView lists the processes.
type processesView struct{}

func (processesView) name() string { return "processes" }

func (processesView) orders() []string { return []string{"identity", "busy", "memory"} }

func (processesView) need(*page, int, int) need { return need{parts: []part{partProcesses}} }

func (processesView) show(k *known, p *page, s screen) content {
	list := slices.Clone(k.processes)
	switch p.sort {
	case 1:
		list = busiest(list)
	case 2:
		slices.SortStableFunc(list, func(a, b process) int { return cmp.Compare(b.RSS, a.RSS) })
	}
	g := processGrid(list, s.now)
	g.rows = p.keep(g.rows, s.now)
	_, read := k.read[partProcesses]
	return content{title: "processes" + inTurn(k.complete, k.oldest, s.now), grid: g,
		total: len(g.rows), empty: emptyText(read, "no process runs"),
		keys: []string{"enter its jobs", "Q quiet", "S stop", "s sort", "/ filter"}}
}

// busiest are processes, those with the most running jobs first.
func busiest(list []inspect.Process) []inspect.Process {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b process) int { return cmp.Compare(b.Busy, a.Busy) })
	return list
}

// processGrid is a grid of processes.
func processGrid(list []inspect.Process, now time.Time) *grid {
	g := &grid{columns: []column{{title: "IDENTITY", name: true}, {title: "TAG", extra: true},
		{title: "BUSY", right: true}, {title: "THREADS", right: true}, {title: "STATE"},
		{title: "QUEUES", text: true}, {title: "RSS", right: true}, {title: "UP", right: true},
		{title: "VERSION", extra: true}}}
	for _, p := range list {
		state, s := processState(p, now)
		g.rows = append(g.rows, row{key: p.Identity, style: s, cells: []string{p.Identity, p.Tag,
			strconv.Itoa(p.Busy), strconv.Itoa(p.Concurrency), state, strings.Join(p.Queues, ","),
			fmt.Sprintf("%d MB", p.RSS/1024), text.Age(now.Sub(p.StartedAt).Seconds()),
			p.Version}})
	}
	return g
}

// silentAfter is how old the last beat of a process may be: they beat every 10 s, and what is shown
// may be as old again.
const silentAfter = 40 * time.Second

// processState says what is unusual about a process.
func processState(p inspect.Process, now time.Time) (string, style) {
	switch silent := now.Sub(p.Beat); {
	case !p.Beat.IsZero() && silent > silentAfter:
		return "silent for " + text.Age(silent.Truncate(time.Second).Seconds()), alarm
	case p.Stuck > 0:
		return fmt.Sprintf("%d stuck", p.Stuck), alarm
	case p.Quiet:
		return "quiet", warning
	}
	return "", plain
}

func (processesView) open(_ *known, r row) view { return busyView{} }

func (processesView) act(_ *known, _ *page, key string, rows []row) (r Request, ok bool) {
	verb, ok := map[string]Verb{"Q": Quiet, "S": Stop}[key]
	if !ok {
		return r, false
	}
	r.Verb = verb
	for _, row := range rows {
		r.Names = append(r.Names, row.key)
	}
	return r, true
}
