package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// event is a line of a ledger's file that says in which process something happened to a
// job, and when. There are millions of them.
type event struct {
	at   uint32 // milliseconds after the first one
	by   uint16 // of histories.names
	what byte   // its first letter: start, end, intend, acked, torn
}

// histories are the events of all jobs, in the order of the file.
type histories struct {
	of    map[string][]event
	names []string
	known map[string]uint16
	began int64
}

// add notes an event; rest is the name of the process and the time.
func (l *histories) add(id, what, rest string) {
	name, text, _ := strings.Cut(rest, " ")
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return
	}
	if l.known == nil {
		l.known, l.began = map[string]uint16{}, at
	}
	by, ok := l.known[name]
	if !ok {
		name = strings.Clone(name)
		by = uint16(len(l.names))
		l.known[name], l.names = by, append(l.names, name)
	}
	l.of[id] = append(l.of[id], event{uint32(max(at-l.began, 0)), by, what[0]})
}

var words = map[byte]string{'s': "started", 'e': "ended", 'i': "about to be pushed", 'a': "pushed",
	't': "its load is wrong"}

// life tells all that is known of a job, and where it was when the checker looked.
func (l *ledger) life(id string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, meant %v, acknowledged %v, started %d times, ended %d times",
		cmp.Or(l.class[id], "Test::Ledger"), id, l.intent[id], l.acked[id],
		l.starts[id], l.ends[id])
	for _, e := range l.lives.of[id] {
		fmt.Fprintf(&b, "; %s in %s at %.3f s", words[e.what], l.lives.names[e.by],
			float64(e.at)/1000)
	}
	if len(l.places[id]) == 0 {
		return b.String() + "; now nowhere in Redis"
	}
	return fmt.Sprintf("%s; now in %v", b.String(), l.places[id])
}

// by gives the processes in which something happened to a job, in order.
func (l *ledger) by(id string, what byte) (names []string) {
	for _, e := range l.lives.of[id] {
		if e.what == what {
			names = append(names, l.lives.names[e.by])
		}
	}
	return names
}

// blame says which processes have made jobs end twice: those in which a fault left jobs
// in flight, if there is one among those that ended a job.
func (r *run) blame() {
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
				r.innocent++
				r.complain("twice", "ended twice, and no fault is the cause: %s\n%s",
					l.life(id), r.story(enders))
			}
		}
	}
	for _, i := range r.incarnations {
		if n := r.twice[i.name]; n > i.bound() && i.bound() > 0 {
			r.excess++
			r.complain("bound", "%d jobs ended twice, more than the %d that were in flight: %s", n,
				i.bound(), i)
		}
	}
}

// again finds jobs that one process has started twice while it held one lease.
func (r *run) again() {
	r.Helper()
	for id, n := range r.ledger.starts {
		if n == 1 || r.ledger.class[id] == "Test::Flaky" {
			continue
		}
		starts := map[string]int{}
		for _, name := range r.ledger.by(id, 's') {
			starts[name]++
			if starts[name] > 1 && r.byName[name].lapses() == 0 {
				r.repeated++
				r.complain("again", "one process has started it twice: %s\n%s",
					r.ledger.life(id), r.story([]string{name}))
				break
			}
		}
	}
}

// outlived finds jobs that ran while their process lost its lease, and that ended there all the
// same: to its peers the process was dead. They ran for longer than a lease. It says how many
// of them ran at that moment, the job included.
func (r *run) outlived() map[string]int {
	type span struct {
		id       string
		from, to int64 // ms
	}
	frozen := map[string][]span{} // by process
	for id := range r.ledger.starts {
		from := map[uint16]int64{}
		for _, e := range r.ledger.lives.of[id] {
			name := r.ledger.lives.names[e.by]
			began, runs := from[e.by]
			switch {
			case e.what == 's':
				from[e.by] = int64(e.at)
			case runs && r.byName[name].lapses() > 0 &&
				int64(e.at)-began > r.byName[name].of.leaseLength().Milliseconds():
				frozen[name] = append(frozen[name], span{id, began, int64(e.at)})
			}
		}
	}
	beside := map[string]int{}
	for _, spans := range frozen {
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

// acquit finds jobs that were taken for poison without a reason. None of this run is
// poison: one may look so if it was the only one that ran when a process died, or if nine
// processes died with it.
func (r *run) acquit() {
	r.Helper()
	if len(r.convicted) == 0 {
		return
	}
	open := map[string][]string{} // by process: jobs that ran when it ended
	for id := range r.ledger.starts {
		if class := r.ledger.class[id]; class == "Test::Flaky" || class == "Test::Doomed" {
			continue // their failures are in no file
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
	for id := range r.convicted {
		if class := r.ledger.class[id]; class == "Test::Flaky" || alone[id] || deaths[id] >= 9 {
			continue
		}
		r.unjust++
		r.complain("poison", "taken for poison after %d crashes, "+
			"at none of which it ran alone: %s\n%s",
			deaths[id], r.ledger.life(id), r.story(r.ledger.by(id, 's')))
	}
}

// story tells what was done to processes, and the last that each has said.
func (r *run) story(names []string) string {
	var lines []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		i := r.byName[name]
		lines = append(lines, "\t"+i.String(), reason(i.process.Log()))
	}
	return strings.Join(lines, "\n")
}
