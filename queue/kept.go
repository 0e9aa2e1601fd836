package queue

import (
	"context"
	"fmt"
	"time"
)

// Kept is what a source keeps of a queue besides the queue's list.
type Kept struct {
	Parked  int64         // jobs that a limit keeps, or that wait for their turn
	Arrived int64         // jobs that a doorbell took from the list, and that go back there
	Age     time.Duration // how long the parked job that may run next has waited; 0 if none may
	Moves   bool          // jobs of the list go to the source
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

// Listed returns an ErrLanes if jobs of a queue are in a source, or may go there.
func (s *Store) Listed(ctx context.Context, queue string) error {
	kept, err := s.Kept(ctx)
	if k := kept[queue]; err == nil && (k.Moves || k.Parked > 0) {
		err = fmt.Errorf("%w: %s, and its %d parked jobs would not be found: workerctl lanes "+
			"drain %[2]s puts them back into the queue, and workerctl lanes set turns its lanes "+
			"on again afterwards", ErrLanes, queue, k.Parked)
	}
	return err
}
