package inspect

// flows notes how fast jobs come and go.
func (q *QueueStatus) flows(r Rate) { q.In, q.Out, q.Empty = &r.In, &r.Out, r.Empty(q.Size) }

// Empty returns in how many seconds a queue of a size is empty at these rates, or nil for never.
func (r Rate) Empty(size int64) *float64 {
	var left float64
	switch net := r.Out - r.In; {
	case size == 0:
	case net > 0:
		left = float64(size) / net
	default:
		return nil
	}
	return &left
}
