package starvation

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// late is the wait from which on a job is late.
const late = 10 * time.Second

// outcome is the result of one arrangement.
type outcome struct {
	arrangement
	runs  []ran
	looks []look
}

func (o *outcome) end() time.Duration { return o.looks[len(o.looks)-1].at }

// lateUntil is the last moment at which a late job was waiting; 0 if none was.
func (o *outcome) lateUntil() (at time.Duration) {
	for _, l := range o.looks {
		for _, age := range l.age {
			if age >= late {
				at = l.at
			}
		}
	}
	return at
}

// queueFigures are about the jobs of one queue that came in the measured time.
type queueFigures struct {
	Queue string `json:"queue"`
	Jobs  int    `json:"jobs"`
	Left  int    `json:"left"` // of them, had not ended when the arrangement was cut off
	// from push to start; of jobs that were left, until the end
	P50     float64 `json:"wait_p50_s"`
	P95     float64 `json:"wait_p95_s"`
	P99     float64 `json:"wait_p99_s"`
	Max     float64 `json:"wait_max_s"`
	Longest int     `json:"longest_queue"`
}

// split gives the jobs of a queue that came before a moment: those that ended, and when those came
// that have not. The jobs of a host start in the order of their pushes, so these came last.
func (o *outcome) split(q string, load []arrival, until time.Duration) (ended []ran,
	left []time.Duration) {
	came := map[string][]time.Duration{}
	for _, a := range load {
		if a.queue == q && a.at < until {
			came[a.host] = append(came[a.host], a.at)
		}
	}
	runs := slices.Clone(o.runs)
	slices.SortStableFunc(runs, func(a, b ran) int { return int(a.pushed - b.pushed) })
	for _, r := range runs {
		if r.queue == q && len(came[r.host]) > 0 {
			came[r.host] = came[r.host][1:]
			ended = append(ended, r)
		}
	}
	for _, list := range came {
		left = append(left, list...)
	}
	return ended, left
}

// age sets how old the oldest job of a queue with lanes was at each look. The jobs tell it: Redis
// shows the oldest job of a list, but not of a thousand lanes.
func (o *outcome) age(q string, load []arrival) {
	ended, left := o.split(q, load, o.end())
	for _, l := range o.looks {
		var oldest time.Duration
		for _, r := range ended {
			if r.pushed <= l.at && l.at < r.start {
				oldest = max(oldest, l.at-r.pushed)
			}
		}
		for _, at := range left {
			oldest = max(oldest, l.at-at)
		}
		if l.age != nil {
			l.age[q] = oldest
		}
	}
}

// figures sums up one queue.
func (o *outcome) figures(q string, load []arrival, length time.Duration) queueFigures {
	runs, left := o.split(q, load, length)
	var waits []float64
	for _, r := range runs {
		waits = append(waits, (r.start - r.pushed).Seconds())
	}
	for _, at := range left {
		waits = append(waits, (o.end() - at).Seconds())
	}
	slices.Sort(waits)
	f := queueFigures{Queue: q, Jobs: len(waits), Left: len(left),
		P50: lab.Quantile(waits, 0.50), P95: lab.Quantile(waits, 0.95),
		P99: lab.Quantile(waits, 0.99), Max: lab.Quantile(waits, 1)}
	for _, l := range o.looks {
		f.Longest = max(f.Longest, l.size[q])
	}
	return f
}

// Wait writes a wait of this queue. With jobs left it is a lower limit.
func (f queueFigures) Wait(seconds float64) string {
	if f.Left > 0 {
		return "at least " + human(seconds)
	}
	return human(seconds)
}

// upTo writes the longest wait.
func (f queueFigures) upTo() string {
	if f.Left > 0 {
		return f.Wait(f.Max)
	}
	return "up to " + human(f.Max)
}

func (f queueFigures) late() bool { return f.Max >= late.Seconds() }

func human(seconds float64) string {
	switch {
	case seconds < 0.1:
		return fmt.Sprintf("%.0f ms", math.Max(seconds*1000, 1))
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	default:
		return fmt.Sprintf("%.0f s", seconds)
	}
}

// arrangementFigures are the result of one arrangement in numbers.
type arrangementFigures struct {
	Name      string         `json:"name"`
	Story     string         `json:"story"`
	Finding   string         `json:"finding"`
	Busy      float64        `json:"threads_busy"`     // on average
	LateUntil float64        `json:"late_until_s"`     // a job waited for longer than 10 s
	End       float64        `json:"end_s"`            // no queue held a job, or the limit
	CutOff    bool           `json:"cut_off_at_limit"` // jobs were still waiting
	Queues    []queueFigures `json:"queues"`
}

func (o *outcome) allFigures(e *experiment) arrangementFigures {
	f := arrangementFigures{Name: o.Name, Story: o.Story, LateUntil: o.lateUntil().Seconds(),
		End: o.end().Seconds(), CutOff: !o.looks[len(o.looks)-1].empty()}
	for _, q := range queues {
		f.Queues = append(f.Queues, o.figures(q, e.load, e.length))
	}
	for _, r := range o.runs {
		f.Busy += (r.end - r.start).Seconds() / f.End
	}
	f.Finding = o.short + ": " + f.finding(e.burst.queue)
	return f
}

func (f arrangementFigures) of(q string) queueFigures {
	i := slices.IndexFunc(f.Queues, func(x queueFigures) bool { return x.Queue == q })
	return f.Queues[i]
}

// victims are the other queues whose jobs were late, the one that waited longest first.
func (f arrangementFigures) victims(burst string) []queueFigures {
	list := slices.DeleteFunc(slices.Clone(f.Queues), func(q queueFigures) bool {
		return q.Queue == burst || !q.late()
	})
	slices.SortStableFunc(list, func(a, b queueFigures) int { return int(b.Max - a.Max) })
	return list
}

// finding says in a few words which queue waited.
func (f arrangementFigures) finding(burst string) string {
	if victims := f.victims(burst); len(victims) > 0 {
		return fmt.Sprintf("%s waits %s behind %s", victims[0].Queue, victims[0].upTo(), burst)
	}
	if own := f.of(burst); own.late() {
		return fmt.Sprintf("%s alone waits, %s", burst, own.upTo())
	}
	return "no queue waits for more than 10 s"
}

// Late writes until when late jobs were waiting.
func (f arrangementFigures) Late() string {
	switch f.LateUntil {
	case 0:
		return "none"
	case f.End:
		return fmt.Sprintf("at least %.0f s", f.End)
	}
	return fmt.Sprintf("%.0f s", f.LateUntil)
}
