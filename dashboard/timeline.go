package dashboard

import (
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// moment is something that happened to a job, or that will.
type moment struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // created, enqueued, started, failed, failed_again, …
	By   string    `json:"by,omitempty"`
	X    int       `json:"-"` // its place in the drawing
	Next bool      `json:"-"` // it is still to come
}

// timelineWidth is where the last moment is drawn, in units of the drawing, which is 1,000 wide.
const timelineWidth = 994

// timeline lists what is known of the life of a job, the earliest first. started is when it began
// to run, and o the operation that holds it or has deleted it; both may be missing. Redis knows no
// more: a job that is retried forgets its earlier queues.
func timeline(p inspect.Place, j *queue.Job, started time.Time, o *inspect.Operation,
	now time.Time) []moment {
	list := []moment{}
	add := func(at time.Time, what, by string) {
		if !at.IsZero() {
			list = append(list, moment{At: at, What: what, By: by, Next: at.After(now)})
		}
	}
	add(j.Time("created_at"), "created", "")
	add(j.Time("enqueued_at"), "enqueued", "")
	first, last := j.Time("failed_at"), j.Time("retried_at")
	add(first, "failed", "")
	if !last.Equal(first) {
		add(last, "failed_again", "")
	}
	add(started, "started", "")
	switch p.Kind {
	case inspect.InRetry:
		add(p.At, "retry", "")
	case inspect.InSchedule:
		add(p.At, "due", "")
	case inspect.InHold:
		add(p.At, "held", "")
	case inspect.InDead:
		add(p.At, "died", "")
	}
	if o != nil && p.Kind == inspect.InTrash {
		add(o.Began, "deleted", o.By)
	} else if o != nil {
		add(o.Began, "operation", o.By)
	}
	slices.SortStableFunc(list, func(a, b moment) int { return a.At.Compare(b.At) })
	place(list, now)
	return list
}

// place computes where the moments of a timeline are drawn: by their times, now included.
func place(list []moment, now time.Time) {
	if len(list) == 0 {
		return
	}
	from, to := list[0].At, list[len(list)-1].At
	if now.After(to) {
		to = now
	}
	all := to.Sub(from)
	for i := range list {
		if all > 0 {
			list[i].X = int(float64(list[i].At.Sub(from)) / float64(all) * timelineWidth)
		}
	}
}
