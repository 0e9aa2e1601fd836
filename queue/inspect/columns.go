package inspect

import "time"

// Columns divide the time before now for a chart. A column has one or more whole slots of a
// history.
type Columns struct {
	now   time.Time
	span  time.Duration
	step  time.Duration
	slots int
	count int
}

// NewColumns divides the time d before now, of whose history the slots last step, into as many
// columns as there are slots, but at most most.
func NewColumns(now time.Time, d, step time.Duration, most int) Columns {
	slots := max(1, int((d+step-1)/step))
	return Columns{now, d, step, slots, max(1, min(most, slots))}
}

// Len is how many columns there are.
func (c Columns) Len() int { return c.count }

// At is when a column begins.
func (c Columns) At(i int) time.Time {
	first := (i*c.slots + c.count - 1) / c.count // the first slot of the column
	return c.now.Truncate(c.step).Add(-time.Duration(c.slots-1-first) * c.step)
}

// of is the column of a slot that begins at a time.
func (c Columns) of(at time.Time) int {
	ago := int(c.now.Truncate(c.step).Sub(at) / c.step)
	return max(0, min(c.slots-1, c.slots-1-ago)) * c.count / c.slots
}

// QueueColumn is what the points of a queue in a column are together.
type QueueColumn struct {
	Known bool    // a worker wrote in this time; else all is 0
	Size  int64   // the most jobs that waited
	Age   float64 // of the oldest job, in seconds: the largest
	In    float64 // jobs a second
	Out   float64
}

// Queue puts the points of a queue (see QueueHistory) into the columns.
func (c Columns) Queue(points []Point) []QueueColumn {
	list := make([]QueueColumn, c.count)
	inSeconds, outSeconds := make([]float64, c.count), make([]float64, c.count)
	for i, p := range points {
		at := c.of(p.At)
		// The slot of the newest point may not be over.
		lasts := min(c.step, max(c.now.Sub(p.At), 10*time.Second)).Seconds()
		col := &list[at]
		col.Known = true
		col.Size, col.Age = max(col.Size, p.Size), max(col.Age, p.Age)
		col.In, col.Out = col.In+float64(p.In), col.Out+float64(p.Out)
		outSeconds[at] += lasts
		if i > 0 {
			lasts += p.At.Sub(points[i-1].At).Seconds() - c.step.Seconds()
		}
		inSeconds[at] += lasts
	}
	for i := range list {
		if list[i].Known {
			list[i].In, list[i].Out = list[i].In/inSeconds[i], list[i].Out/outSeconds[i]
		}
	}
	return list
}

// ClassColumn is what the points of a class in a column are together.
type ClassColumn struct {
	Runs     float64 // a second, with those that failed
	Failures float64 // a second
	Mean     float64 // run time of the successful runs, in seconds; 0 without any
}

// Class puts the points of a class (see ClassHistory) into the columns.
func (c Columns) Class(points []ClassPoint) []ClassColumn {
	sums := make([]ClassPoint, c.count)
	for _, p := range points {
		sum := &sums[c.of(p.At)]
		sum.Processed += p.Processed
		sum.Failed += p.Failed
		sum.Millis += p.Millis
	}
	list := make([]ClassColumn, c.count)
	seconds := c.span.Seconds() / float64(c.count)
	for i, s := range sums {
		list[i] = ClassColumn{Runs: float64(s.Processed) / seconds,
			Failures: float64(s.Failed) / seconds}
		if good := s.Processed - s.Failed; good > 0 {
			list[i].Mean = float64(s.Millis) / 1000 / float64(good)
		}
	}
	return list
}
