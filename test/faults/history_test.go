package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// event is a line of a ledger's file, with its process and time. It is small, because there are
// millions of them.
type event struct {
	at   uint32 // milliseconds after the first event
	by   uint16 // the process: an index of histories.names
	what byte   // the first letter of start, end, cut, intend, acked or torn
}

// histories holds the events of all jobs, in the order of the file.
type histories struct {
	of    map[string][]event // by job
	names []string           // of the processes
	index map[string]uint16  // of a name in names
	began int64              // the time of the first event, in milliseconds since 1970
}

// add notes an event. rest is the name of the process and the time.
func (l *histories) add(id, what, rest string) {
	name, text, _ := strings.Cut(rest, " ")
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return
	}
	if l.index == nil {
		l.index, l.began = map[string]uint16{}, at
	}
	by, ok := l.index[name]
	if !ok {
		name = strings.Clone(name)
		by = uint16(len(l.names))
		l.index[name], l.names = by, append(l.names, name)
	}
	l.of[id] = append(l.of[id], event{uint32(max(at-l.began, 0)), by, what[0]})
}

var words = map[byte]string{'s': "started", 'e': "ended", 'i': "about to be pushed", 'a': "pushed",
	't': "got wrong bytes", 'c': "interrupted"}

// history describes all that is known of a job, and where check found it.
func (l *ledger) history(id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, intended %v, acknowledged %v, started %d times, ended %d times",
		cmp.Or(l.class[id], "Test::Ledger"), id, l.intent[id], l.acked[id],
		l.starts[id], l.ends[id])
	for _, e := range l.events.of[id] {
		fmt.Fprintf(&b, "; %s in %s at %.3f s", words[e.what], l.events.names[e.by],
			float64(e.at)/1000)
	}
	if len(l.places[id]) == 0 {
		return b.String() + "; now nowhere in Redis"
	}
	return fmt.Sprintf("%s; now in %v", b.String(), l.places[id])
}

// by returns the processes in which an event happened to a job, in the order of the events.
func (l *ledger) by(id string, what byte) (names []string) {
	for _, e := range l.events.of[id] {
		if e.what == what {
			names = append(names, l.events.names[e.by])
		}
	}
	return names
}

// checkDoubleEnds attributes each further end of a job to a process that ended it: to one with
// faults, if there is one. It complains about ends that no fault explains.
func (r *run) checkDoubleEnds() {
	r.Helper()
	l := r.ledger
	for id, n := range l.ends {
		if n == 1 {
			continue
		}
		enders := l.by(id, 'e')
		slices.SortStableFunc(enders, func(a, b string) int {
			return r.byName[a].bound() - r.byName[b].bound()
		})
		for _, name := range enders[1:] {
			r.twice[name]++
			if r.byName[name].bound() == 0 {
				r.unexplained++
				r.complain("twice", "ended twice without a fault that explains it: %s\n%s",
					l.history(id), r.histories(enders))
			}
		}
	}
	for _, i := range r.instances {
		if n := r.twice[i.name]; n > i.bound() && i.bound() > 0 {
			r.complain("bound", "%d jobs ended twice, and the faults allow %d: %s", n,
				i.bound(), i)
		}
	}
}

// checkDoubleStarts complains about jobs that one process started twice under one lease.
func (r *run) checkDoubleStarts() {
	r.Helper()
	for id, n := range r.ledger.starts {
		if n == 1 || r.ledger.class[id] == "Test::Flaky" {
			continue
		}
		starts := map[string]int{}
		for _, name := range r.ledger.by(id, 's') {
			starts[name]++
			if starts[name] > 1 && r.byName[name].lapses() == 0 {
				r.doubleStarts++
				r.complain("again", "one process started it twice under one lease: %s\n%s",
					r.ledger.history(id), r.histories([]string{name}))
				break
			}
		}
	}
}

// outlived finds jobs that ended in a process that lost its lease while they ran. Other processes
// took that process for dead. Such a job ran for longer than the lease. outlived returns how many
// of these jobs ran at the same time, the job included.
func (r *run) outlived() map[string]int {
	type span struct {
		id       string
		from, to int64 // ms
	}
	long := map[string][]span{} // by process
	for id := range r.ledger.starts {
		from := map[uint16]int64{}
		for _, e := range r.ledger.events.of[id] {
			name := r.ledger.events.names[e.by]
			began, started := from[e.by]
			switch {
			case e.what == 's':
				from[e.by] = int64(e.at)
			case started && r.byName[name].lapses() > 0 &&
				int64(e.at)-began > r.byName[name].of.leaseLength().Milliseconds():
				long[name] = append(long[name], span{id, began, int64(e.at)})
			}
		}
	}
	beside := map[string]int{}
	for _, spans := range long {
		for _, a := range spans {
			for _, b := range spans {
				if min(a.to, b.to) > max(a.from, b.from) {
					beside[a.id]++
				}
			}
		}
	}
	return beside
}

// checkPoison complains about jobs that were taken for poison without a reason. No job of the run
// is poison. A job may be taken for it if it ran alone when a process died, or if nine processes
// died while it ran.
func (r *run) checkPoison() {
	r.Helper()
	if len(r.takenForPoison) == 0 {
		return
	}
	open := map[string][]string{} // by process: jobs that ran when it ended
	for id := range r.ledger.starts {
		if class := r.ledger.class[id]; class == "Test::Flaky" || class == "Test::Doomed" {
			continue // the file has no line for a failure
		}
		ended := r.ledger.by(id, 'e')
		for _, name := range slices.Compact(slices.Sorted(slices.Values(r.ledger.by(id, 's')))) {
			if r.byName[name].crashes > 0 && !slices.Contains(ended, name) {
				open[name] = append(open[name], id)
			}
		}
	}
	deaths, alone := map[string]int{}, map[string]bool{}
	for _, ids := range open {
		for _, id := range ids {
			deaths[id]++
			alone[id] = alone[id] || len(ids) == 1
		}
	}
	for id, n := range r.outlived() {
		deaths[id]++
		alone[id] = alone[id] || n == 1
	}
	for id := range r.takenForPoison {
		if class := r.ledger.class[id]; class == "Test::Flaky" || alone[id] || deaths[id] >= 9 ||
			r.diedAtTurn(id) {
			continue
		}
		r.neverAlone++
		r.complain("poison", "taken for poison after %d crashes, "+
			"at none of which it ran alone: %s\n%s",
			deaths[id], r.ledger.history(id), r.histories(r.ledger.by(id, 's')))
	}
}

// diedAtTurn reports whether a process died when it had given a job its turn to run alone, before
// the job wrote that it started. The worker marks the job in Redis first, so the crash counts; the
// file cannot show it, but the worker's log does.
func (r *run) diedAtTurn(id string) bool {
	started := r.ledger.by(id, 's')
	for name, i := range r.byName {
		if i.crashes > 0 && !slices.Contains(started, name) {
			for line := range strings.Lines(i.process.Log()) {
				if strings.Contains(line, "waits for a turn") && strings.Contains(line, "jid="+id) {
					return true
				}
			}
		}
	}
	return false
}

// histories describes the faults of processes, and the ends of their logs.
func (r *run) histories(names []string) string {
	var lines []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		i := r.byName[name]
		lines = append(lines, "\t"+i.String(), reason(i.process.Log()))
	}
	return strings.Join(lines, "\n")
}
