package top

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/internal/text"
)

// overview shows the fleet at a glance.
type overview struct{}

func (overview) name() string { return "overview" }

func (overview) orders() []string { return nil }

func (overview) need(*page, int, int) need {
	return need{parts: []part{partTotals, partQueues, partProcesses}}
}

func (overview) show(k *known, _ *page, s screen) content {
	c := content{title: "overview", keys: []string{"2 queues", "3 busy", "4 retries"}}
	if len(k.read) == 0 {
		c.empty = "reading…"
		return c
	}
	c.lines = append(figures(k, s), line{})
	alarms := alarms(k, s)
	most := max(s.height/4, 2)
	if n := len(alarms); n > most {
		more := fmt.Sprintf("! and %d more: see the views queues and processes", n-most+1)
		alarms = append(alarms[:most-1], say(alarm, more))
	}
	c.lines = append(append(c.lines, alarms...), line{})
	queues := queueGrid(k, k.queues)
	processes := processGrid(busiest(k.processes), s.now)
	room := s.height - len(c.lines) - 3
	forQueues := min(len(queues.rows), max(room-len(processes.rows), room/2))
	c.lines = append(c.lines, glance(queues, forQueues, "queues", s)...)
	c.lines = append(c.lines, line{})
	c.lines = append(c.lines, glance(processes, room-forQueues, "processes", s)...)
	return c
}

// figures are the numbers of the fleet.
func figures(k *known, s screen) []line {
	busy, threads := 0, 0
	for _, p := range k.processes {
		busy, threads = busy+p.Busy, threads+p.Concurrency
	}
	enqueued := int64(0)
	for _, q := range k.queues {
		enqueued += q.Size
	}
	n := func(n int64) string { return text.Grouped(n) }
	fleet := []string{"processes", n(k.totals.Processes), "busy", fmt.Sprintf("%d of %d threads%s",
		busy, threads, inTurn(k.complete, k.oldest, s.now))}
	jobs := []string{"enqueued", n(enqueued), "retries", n(k.totals.Retries), "scheduled",
		n(k.totals.Scheduled), "dead", n(k.totals.Dead)}
	runs := []string{"processed", n(k.totals.Processed), "failed", n(k.totals.Failed)}
	if k.totals.Expired > 0 {
		runs = append(runs, "expired", n(k.totals.Expired))
	}
	if k.runs >= 0 {
		runs = append(runs, "a second", fmt.Sprintf("%.1f run, %.1f fail", k.runs, k.failed))
	}
	list := []line{pairs("fleet", fleet), pairs("jobs", jobs), pairs("runs", runs)}
	if in, out, known := flows(k.queues); known {
		list = append(list, pairs("flow", []string{"in/s", rate(&in), "out/s", rate(&out)}))
	}
	return list
}

// flows are the jobs that go into all queues and out of them a second.
func flows(queues []Queue) (in, out float64, known bool) {
	for _, q := range queues {
		if q.In != nil && q.Out != nil {
			in, out, known = in+*q.In, out+*q.Out, true
		}
	}
	return in, out, known
}

// pairs are names with values.
func pairs(title string, list []string) line {
	l := line{{pad(title, 8, false), bold}}
	for i := 0; i+1 < len(list); i += 2 {
		l = append(l, span{list[i] + " ", faint}, span{list[i+1] + "   ", plain})
	}
	return l
}

// alarms are what somebody should look at, the worst first. Each begins with a sign.
func alarms(k *known, s screen) (list []line) {
	for _, q := range k.queues {
		waiting := text.Grouped(q.Size) + " jobs wait"
		switch state, style := queueState(k, q); state {
		case "paused":
			list = append(list, say(style, "! the queue "+q.Name+" is paused, "+waiting))
		case "unserved":
			list = append(list, say(style, "! no process serves the queue "+q.Name+", "+waiting))
		}
	}
	if k.complete && len(k.processes) == 0 {
		list = append(list, say(alarm, "! no process runs"))
	}
	for _, p := range k.processes {
		if state, style := processState(p, s.now); state != "" {
			list = append(list, say(style, "! "+p.Identity+" is "+state))
		}
	}
	slices.SortStableFunc(list, func(a, b line) int { return int(b[0].style - a[0].style) })
	if len(list) == 0 && k.complete {
		list = append(list, say(good, "nothing is paused, unserved, quiet or silent"))
	}
	return list
}

// glance is the head of a grid and its first rows.
func glance(g *grid, rows int, noun string, s screen) (list []line) {
	all := len(g.rows)
	if rows < 1 || all == 0 {
		return nil
	}
	more := ""
	if all > rows {
		more = strconv.Itoa(all-rows+1) + " more " + noun
		g.rows = g.rows[:rows-1]
	}
	widths := g.layout(s.width, s.wide)
	list = append(list, say(bold, g.text(g.titles(), widths)))
	for _, r := range g.rows {
		list = append(list, say(r.style, strings.TrimRight(g.text(r.cells, widths), " ")))
	}
	if more != "" {
		list = append(list, say(faint, "… "+more))
	}
	return list
}

func (overview) open(*known, row) view { return nil }

func (overview) act(*known, *page, string, []row) (r Request, ok bool) { return r, false }
