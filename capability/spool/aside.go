package spool

import (
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// refusals handles the jobs of a part that were not pushed although the call succeeded, because a
// claim was refused. If the claim failed, the job is put aside. Otherwise it is dropped, as a push
// without a spool would drop it.
func (s *Spool) refusals(part []queue.Batch) error {
	var failed []error
	for _, b := range part {
		for i := range b.Jobs {
			j := &b.Jobs[i]
			if j.Refused == nil {
				continue
			}
			if j.Refused.Failed {
				one := b
				one.Jobs = b.Jobs[i : i+1]
				failed = append(failed, s.putAside([]queue.Batch{one}, fmt.Errorf("%w: %s: %s",
					queue.ErrClaim, j.Refused.Kind, j.Refused.Reason)))
				continue
			}
			s.mu.Lock()
			s.refused++
			s.mu.Unlock()
			s.log.Warn("a job of the disk is dropped: its claim is refused", "jid", j.JID, "queue",
				b.Queue, "claim", j.Refused.Kind, "reason", j.Refused.Reason)
		}
	}
	return errors.Join(failed...)
}

// putAside writes a job that Redis refuses to a file of its own, so that the others go on.
func (s *Spool) putAside(part []queue.Batch, refusal error) error {
	r := record{time.Now(), part}
	frame := r.appendFrame(nil)
	s.mu.Lock()
	seg, err := s.newest(&s.asides, kindAside)
	if err == nil {
		err = seg.write(frame, &r)
	}
	if err != nil {
		s.mu.Unlock()
		return fmt.Errorf("put a job aside: %w", err)
	}
	s.bytes += int64(len(frame))
	end := seg.size
	s.mu.Unlock()
	if err := s.sync(seg, end); err != nil {
		return fmt.Errorf("put a job aside: %w", err)
	}
	s.log.Error("Redis refuses a job of the disk: it is put aside, and tried again every 10 "+
		"minutes and at the next start", "jid", part[0].Jobs[0].JID, "queue", part[0].Queue,
		"err", refusal)
	return nil
}

// readmit has the jobs that were put aside tried again, if nothing else waits.
func (s *Spool) readmit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting > 0 || len(s.asides) == 0 {
		return
	}
	for _, seg := range s.asides {
		seg.sealed = true
		s.waiting += seg.jobs
	}
	s.segments, s.asides = append(s.asides, s.segments...), nil
	s.begin()
}
