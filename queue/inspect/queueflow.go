package inspect

// flows sets the rates, and the time in which they empty the queue.
func (q *QueueStatus) flows(r Rate) {
	q.In, q.Out = &r.In, &r.Out
	var left float64
	switch net := r.Out - r.In; {
	case q.Size == 0:
	case net > 0:
		left = float64(q.Size) / net
	default:
		return
	}
	q.Empty = &left
}
