package dashboard

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/queue/inspect"
)

const (
	// maxDrawn is how many runs a page draws at most, of all its processes together.
	maxDrawn = 3000
	// laneUnits is the width of a lane in its own units, and laneHeight its height. The browser
	// scales both.
	laneUnits  = 2000
	laneHeight = 10
	// laneKinds is how many classes have a colour and a pattern of their own.
	laneKinds = 6
)

// laneWindows are the lengths of time that a page can show, in seconds. The second is the default.
var laneWindows = []int{10, 60, 600, 3600}

// lanesPage is the data of the page of what threads ran lately.
type lanesPage struct {
	Window    int                   `json:"window_seconds"`
	Processes []inspect.ProcessRuns `json:"processes"`
	Latest    []inspect.ThreadRun   `json:"-"` // of all processes
	Lanes     []processLanes        `json:"-"`
	Kinds     []laneKind            `json:"-"` // of the classes that took the most time
	Others    bool                  `json:"-"` // there are more classes
	Pager     pager                 `json:"page"`
	Path      string                `json:"-"` // of the page
}

// processLanes are the lanes of a process: one for each thread.
type processLanes struct {
	inspect.ProcessRuns
	Lanes []lane
}

// lane is what a thread ran.
type lane struct {
	TID      string
	Bars     []laneBar
	Count    int
	Failures int
	Busy     int // percent of the window
	Last     inspect.ThreadRun
	busy     float64 // in seconds
}

// laneBar is a run in a lane. Its place is that of the lane's own units.
type laneBar struct {
	X, Width int
	Kind     int // of its class; laneKinds: one of the others
	Failed   bool
	Title    string
}

// laneKind is a class that has a colour and a pattern of its own.
type laneKind struct {
	Class   string
	Kind    int
	Runs    int
	Seconds float64
}

// Windows are those that can be chosen.
func (p lanesPage) Windows() []int { return laneWindows }

// Units and Height are the size of a lane.
func (p lanesPage) Units() int  { return laneUnits }
func (p lanesPage) Height() int { return laneHeight }

// lanes is the page of the fleet.
func (q *request) lanes() (*view, error) {
	ids, err := q.in().Identities(q.ctx)
	if err != nil {
		return nil, err
	}
	live, err := q.in().ProcessesOf(q.ctx, ids...)
	if err != nil {
		return nil, err
	}
	p := &lanesPage{Pager: q.pager(), Path: q.d.path("busy", "lanes")}
	shown := []string{}
	for _, process := range part(&p.Pager, live) {
		shown = append(shown, process.Identity)
	}
	return q.showLanes(p, "busy", q.t("title.lanes"), shown)
}

// processLanes is the page of a process.
func (q *request) processLanes() (*view, error) {
	id := q.PathValue("identity")
	live, err := q.in().ProcessesOf(q.ctx, id)
	if err != nil {
		return nil, err
	}
	if len(live) == 0 {
		return nil, &problem{http.StatusNotFound, q.t("problem.no_process", id)}
	}
	p := &lanesPage{Pager: q.pager(), Path: q.d.path("processes", id, "lanes")}
	part(&p.Pager, live)
	return q.showLanes(p, "processes", q.t("title.process_lanes", id), []string{id})
}

func (q *request) showLanes(p *lanesPage, nav, title string, ids []string) (*view, error) {
	p.Window = laneWindows[1]
	n, err := strconv.Atoi(q.FormValue("window"))
	if err == nil && slices.Contains(laneWindows, n) {
		p.Window = n
		p.Pager.query.Set("window", strconv.Itoa(n))
	}
	if p.Processes, err = q.in().Runs(q.ctx, inspect.RunsWait, ids...); err != nil {
		return nil, err
	}
	p.draw(q)
	return &view{page: "lanes", nav: nav, title: title, data: p}, nil
}

// draw makes the lanes and the list of the runs of the window.
func (p *lanesPage) draw(q *request) {
	kinds := p.kinds()
	for _, process := range p.Processes {
		lanes := processLanes{ProcessRuns: process}
		byTID := map[string]*lane{}
		for _, tid := range process.Threads {
			byTID[tid] = &lane{TID: tid}
		}
		for i, r := range process.Runs {
			from, to := p.place(process, r)
			if to >= float64(p.Window) {
				continue
			}
			p.Latest = append(p.Latest, r)
			l := byTID[r.TID]
			if l == nil { // its thread was replaced, because a handler did not return
				l = &lane{TID: r.TID}
				byTID[r.TID] = l
			}
			l.add(q, p, r, from, to, kinds, i < maxDrawn/len(p.Processes))
		}
		for _, l := range byTID {
			l.Busy = min(100, int(100*l.busy/float64(p.Window)+.5))
			lanes.Lanes = append(lanes.Lanes, *l)
		}
		slices.SortFunc(lanes.Lanes, func(a, b lane) int { return naturally(a.TID, b.TID) })
		p.Lanes = append(p.Lanes, lanes)
	}
	slices.SortStableFunc(p.Latest, func(a, b inspect.ThreadRun) int {
		return b.Started.Compare(a.Started)
	})
	p.Latest = p.Latest[:min(len(p.Latest), pageSize)]
}

// place is how many seconds ago a run began and ended. The clocks of processes differ, so the time
// is counted back from the answer of the process, whose age Redis knows.
func (p *lanesPage) place(process inspect.ProcessRuns, r inspect.ThreadRun) (from, to float64) {
	from = process.Age + max(0, process.At.Sub(r.Started).Seconds())
	if to = from - r.Seconds; r.Running() || to < process.Age {
		to = process.Age
	}
	return from, to
}

// add adds a run to the lane, and draws it unless there are too many.
func (l *lane) add(q *request, p *lanesPage, r inspect.ThreadRun, from, to float64,
	kinds map[string]int, drawn bool) {
	window := float64(p.Window)
	if l.Count++; l.Count == 1 {
		l.Last = r
	}
	if r.Failed() {
		l.Failures++
	}
	from = min(from, window)
	l.busy += from - to
	if !drawn {
		return
	}
	x := int((window - from) / window * laneUnits)
	b := laneBar{X: min(x, laneUnits-2), Width: max(2, int((from-to)/window*laneUnits)),
		Kind: laneKinds, Failed: r.Failed(), Title: fmt.Sprintf("%s %s, %s, %s", r.Class, r.JID,
			took(q.lang, r.Seconds), q.t("outcome."+r.Outcome))}
	if kind, known := kinds[r.Class]; known {
		b.Kind = kind
	}
	l.Bars = append(l.Bars, b)
}

// kinds gives the classes that took the most time of the window a kind each.
func (p *lanesPage) kinds() map[string]int {
	byClass := map[string]*laneKind{}
	for _, process := range p.Processes {
		for _, r := range process.Runs {
			from, to := p.place(process, r)
			if to >= float64(p.Window) {
				continue
			}
			if byClass[r.Class] == nil {
				byClass[r.Class] = &laneKind{Class: r.Class}
			}
			byClass[r.Class].Runs++
			byClass[r.Class].Seconds += min(from, float64(p.Window)) - to
		}
	}
	for _, k := range byClass {
		p.Kinds = append(p.Kinds, *k)
	}
	slices.SortFunc(p.Kinds, func(a, b laneKind) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Class, b.Class))
	})
	p.Others = len(p.Kinds) > laneKinds
	p.Kinds = p.Kinds[:min(len(p.Kinds), laneKinds)]
	kinds := map[string]int{}
	for i := range p.Kinds {
		p.Kinds[i].Kind = i
		kinds[p.Kinds[i].Class] = i
	}
	return kinds
}

// naturally compares names of threads: default2 comes before default10.
func naturally(a, b string) int {
	head := func(s string) string { return strings.TrimRight(s, "0123456789") }
	number := func(s string) int { n, _ := strconv.Atoi(s[len(head(s)):]); return n }
	return cmp.Or(cmp.Compare(head(a), head(b)), cmp.Compare(number(a), number(b)),
		cmp.Compare(a, b))
}

// took is how long a run took. Many take less than a second.
func took(lang string, seconds float64) string {
	switch {
	case seconds < 0.01:
		return say(lang, "unit.ms", strconv.FormatFloat(seconds*1000, 'f', 2, 64))
	case seconds < 1:
		return say(lang, "unit.ms", strconv.Itoa(int(seconds*1000)))
	}
	return age(lang, seconds)
}

// lanesRoutes are the pages of what threads ran lately.
func (d *Dashboard) lanesRoutes() []route {
	return slices.Concat(d.both("/busy/lanes", (*request).lanes),
		d.both("/processes/{identity}/lanes", (*request).processLanes))
}
