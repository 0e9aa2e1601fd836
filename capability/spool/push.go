package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// PushBatches pushes the jobs or, while the Backend is away, writes them to the disk. If there is
// no error, they are in one of both for sure. If the error is queue.ErrUnknown, they may be in one
// of both, and the push can be repeated with the same JIDs. After any other error nothing was
// pushed: ErrFull says that the spool has no room, and an error that concerns the jobs, such as a
// *queue.InvalidError, is that of the Backend. The claims of jobs on the disk are made later, when
// they are pushed: a job whose claim is refused then is dropped, with a line in the log.
func (s *Spool) PushBatches(ctx context.Context, batches []queue.Batch) error {
	for {
		var direct error
		if s.empty() {
			direct = s.backend.PushBatches(ctx, loose(remembered(batches), batches))
			if direct == nil {
				s.confirm(batches)
				return nil
			}
			if !away(direct) {
				return direct
			}
		}
		err := s.keep(batches, direct)
		if !errors.Is(err, errEmpty) {
			return err
		}
	}
}

// away reports whether an error of a push concerns not its jobs, but the Redis, which serves nobody
// or does not answer.
func away(err error) bool {
	switch {
	case errors.Is(err, queue.ErrElsewhere): // nor may it be repeated
		return false
	case errors.Is(err, errUnconnected), errors.Is(err, queue.ErrUnknown),
		errors.Is(err, queue.ErrAway):
		return true
	case errors.Is(err, context.Canceled): // before anything was sent: nobody waits for the push
		return false
	}
	return errors.Is(err, context.DeadlineExceeded) || redisdb.Unsent(err) ||
		redisdb.ServesNobody(err)
}

// remembered returns batches whose JIDs Redis remembers. The jobs are the same, so that refusals
// are set in those of the caller.
func remembered(batches []queue.Batch) []queue.Batch {
	list := slices.Clone(batches)
	for i := range list {
		list[i].Idempotent, list[i].Life = true, Remember
	}
	return list
}

// loose lets jobs go to another shard, if there are several and their own takes none, unless the
// caller wants them idempotent. Each batch of list is one of batches.
func loose(list, batches []queue.Batch) []queue.Batch {
	for i := range list {
		list[i].Loose = !batches[i].Idempotent
	}
	return list
}

// unstored returns batches without the jobs that one of several shards has stored.
func unstored(batches []queue.Batch) []queue.Batch {
	list := slices.Clone(batches)
	for i := range list {
		stored := func(j queue.Pushed) bool { return j.Stored }
		if slices.ContainsFunc(list[i].Jobs, stored) {
			list[i].Jobs = slices.DeleteFunc(slices.Clone(list[i].Jobs), stored)
		}
	}
	return list
}

// empty reports whether nothing waits, so that a push may go directly.
func (s *Spool) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting == 0 && !s.closed
}

// confirm notes that Redis need not remember the JIDs of a push, unless the caller wants it.
func (s *Spool) confirm(batches []queue.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range batches {
		if batches[i].Idempotent {
			continue
		}
		for k := range batches[i].Jobs {
			if len(s.confirmed) < forgetMax {
				s.confirmed = append(s.confirmed, batches[i].Jobs[k].JID)
			}
		}
	}
	if len(s.confirmed) >= forgetMany {
		s.ring()
	}
}

// keep writes a push to the disk. direct is why it could not go directly; nil if jobs wait already,
// and then the error is errEmpty if they do not any longer.
func (s *Spool) keep(batches []queue.Batch, direct error) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	r := record{time.Now(), unstored(batches)}
	if r.jobs() == 0 {
		return nil
	}
	seg, end, err := s.append(&r, direct)
	if errors.Is(err, errEmpty) {
		return err
	}
	if err == nil {
		err = s.sync(seg, end)
	}
	if err != nil {
		return s.unkept(direct, err)
	}
	s.mu.Lock()
	s.kept += uint64(r.jobs())
	s.mu.Unlock()
	s.ring()
	return nil
}

// unkept returns the error of a push that was neither made nor kept.
func (s *Spool) unkept(direct, err error) error {
	err = fmt.Errorf("spool %s: %w", s.folder.path, err)
	if direct == nil {
		return fmt.Errorf("push: it waits for Redis, and was not kept: %w", err)
	}
	return fmt.Errorf("%w; and it was not kept: %w", direct, err)
}

// append appends a push to the newest segment. It is on the disk after sync with end.
func (s *Spool) append(r *record, direct error) (seg *segment, end int64, err error) {
	frame := r.appendFrame(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, 0, ErrClosed
	case s.waiting == 0 && direct == nil:
		return nil, 0, errEmpty
	case s.bytes+segmentHead+int64(len(frame)) > s.max:
		return nil, 0, fmt.Errorf("%w: it has %d bytes of at most %d (MaxBytes)", ErrFull, s.bytes,
			s.max)
	}
	if seg, err = s.newest(&s.segments, kindSpool); err != nil {
		return nil, 0, err
	}
	if err := seg.write(frame, r); err != nil {
		return nil, 0, err
	}
	if s.waiting == 0 {
		s.begin()
		s.log.Warn("Redis is away: pushes are kept on the disk", "err", direct)
	}
	s.bytes += int64(len(frame))
	s.waiting += r.jobs()
	return seg, seg.size, nil
}

// newest returns the segment to which the next record of a list of segments is appended.
func (s *Spool) newest(list *[]*segment, kind string) (*segment, error) {
	if n := len(*list); n > 0 {
		if seg := (*list)[n-1]; !seg.sealed && seg.size < segmentBytes {
			return seg, nil
		}
	}
	seg, err := s.folder.create(kind)
	if err != nil {
		return nil, err
	}
	*list = append(*list, seg)
	s.bytes += seg.size
	return seg, nil
}

// sync returns when a segment is on the disk up to a place. Pushes that wait for it at the same
// time share one fsync.
func (s *Spool) sync(seg *segment, upTo int64) error {
	seg.syncing.Lock()
	defer seg.syncing.Unlock()
	if seg.synced.Load() >= upTo {
		return nil
	}
	if seg.failed != nil {
		return seg.failed
	}
	s.mu.Lock()
	size, loose := seg.size, seg.loose
	s.mu.Unlock()
	err := seg.file.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		seg.failed = fmt.Errorf("%w, because fsync failed: %w", queue.ErrUnknown, err)
		s.cut(seg)
		return seg.failed
	}
	seg.loose -= loose
	seg.synced.Store(size)
	return nil
}

// cut gives up what of a segment is not on the disk for sure: after a failed fsync nobody knows
// whether it is. The pushes return an error, and are not made. The segment takes no more records.
func (s *Spool) cut(seg *segment) {
	end := seg.synced.Load()
	if err := seg.file.Truncate(end); err != nil {
		s.log.Error("pushes that failed cannot be taken off the disk: they may be made at the "+
			"next start", "file", seg.path, "err", err)
	}
	s.bytes -= seg.size - end
	seg.size, seg.sealed = end, true
	seg.jobs -= seg.loose
	if slices.Contains(s.segments, seg) {
		s.waiting -= seg.loose
	}
	seg.loose = 0
	if seg.jobs == 0 {
		s.drop(seg)
	}
}
