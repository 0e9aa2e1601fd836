package queue

import (
	"context"
	"time"
)

// Kept is what a source keeps of a queue besides the queue's list.
type Kept struct {
	Parked  int64         // jobs that a limit keeps, or that wait for their turn
	Arrived int64         // jobs that a doorbell took from the list, and that go back there
	Age     time.Duration // how long the parked job that may run next has waited; 0 if none may
}

// KeptList is a list in which a source keeps jobs of a queue. Its last job is taken first.
type KeptList struct {
	Queue string
	Lane  string // the name that the source gives the list
	Key   string // with the namespace
	// Returns says that the jobs go back to the list of the queue, from which a doorbell took them.
	Returns bool
}

// Kept returns what the source of the Store keeps, by queue. It is nil without a source.
func (s *Store) Kept(ctx context.Context) (map[string]Kept, error) {
	if c := s.source(); c != nil {
		return c.Source.Kept(ctx, s)
	}
	return nil, nil
}

// KeptLists returns a page of the lists in which the source keeps jobs, and the cursor of the next
// page: 0 begins, and ends. A list that has jobs all the while is in one page at least.
func (s *Store) KeptLists(ctx context.Context, cursor uint64) ([]KeptList, uint64, error) {
	if c := s.source(); c != nil {
		return c.Source.Lists(ctx, s, cursor)
	}
	return nil, 0, nil
}

// countKeys are the keys by which the source counts what it keeps of a queue: the list of what its
// doorbells took, and the hash with the field parked. There are none without a source.
func (s *Store) countKeys(queue string) []string {
	c := s.source()
	if c == nil {
		return nil
	}
	arrived, _ := c.Source.Bells(queue)
	return []string{s.ks.Key(arrived), s.ks.Key(c.Source.Count(queue))}
}

// Suspend has the source give the jobs that it keeps of a queue back to the queue's list, and keep
// none for a time: a bulk operation goes through the list. 0 ends that time.
func (s *Store) Suspend(ctx context.Context, queue string, d time.Duration) error {
	if c := s.source(); c != nil {
		return c.Source.Suspend(ctx, s, queue, d)
	}
	return nil
}
