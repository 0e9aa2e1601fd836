package spool

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

const (
	// DefaultMaxBytes is the room that a spool takes on the disk: about 800,000 small jobs.
	DefaultMaxBytes = 256 << 20
	// Remember is how long Redis remembers the JIDs of jobs that were pushed from the disk, and of
	// those whose reply was lost. If an outage is longer, such a job may run twice.
	Remember = 24 * time.Hour

	segmentBytes = 8 << 20 // a larger segment is followed by a new one
	forgetMany   = 10_000  // JIDs that are to be forgotten, for which Run is woken
	forgetMax    = 500_000 // most of them; Redis forgets the others after Remember
)

var (
	// ErrFull says that a push was not kept, because the spool has no room.
	ErrFull = errors.New("the spool is full")
	// ErrInUse says that another Spool, of this or another process, has the folder.
	ErrInUse = errors.New("the folder is in use by another spool")
	// ErrClosed says that the Spool was closed.
	ErrClosed = errors.New("the spool is closed")

	errEmpty = errors.New("nothing waits: push directly") // never leaves the package
)

// Options are the settings of a Spool. The zero value is usable.
type Options struct {
	MaxBytes int64        // of all files together; DefaultMaxBytes if 0
	Logger   *slog.Logger // slog.Default() if nil
}

// Spool is a queue.Backend that keeps pushes on the local disk while the Backend behind it is away.
// It is safe for concurrent use.
type Spool struct {
	backend queue.Backend
	folder  *folder
	max     int64
	log     *slog.Logger

	running sync.Mutex    // held by Run
	wake    chan struct{} // has a value when there is something to push
	// gate is held for reading while a push goes to the disk. Run holds it for writing while it
	// pushes the last jobs, so that none come behind them, and the spool becomes empty.
	gate sync.RWMutex

	mu        sync.Mutex
	segments  []*segment // that have jobs, the oldest first; only the last is appended to
	asides    []*segment
	confirmed []string // JIDs of pushes that Redis need not remember any longer
	tally
	since  time.Time // when jobs began to wait
	before uint64    // tally.replayed at that time
	closed bool
}

// tally are the sums of a Spool. Its mutex guards them.
type tally struct {
	waiting                 int // jobs in segments
	bytes                   int64
	kept, replayed, refused uint64
}

// Stats say how full a Spool is.
type Stats struct {
	Waiting  int       // jobs on the disk that are to be pushed
	Aside    int       // jobs that Redis refused, and that are tried again now and then
	Oldest   time.Time // no waiting job was pushed before; zero if none waits
	Bytes    int64     // of all files
	MaxBytes int64
	// These count since Open.
	Kept     uint64 // jobs that were written to the disk
	Replayed uint64 // jobs that were pushed from the disk
	Refused  uint64 // jobs that were not pushed from the disk because their claims were refused
}

// Open opens the spool in a folder, which it makes if there is none. What an earlier process left
// there is pushed by Run. A record that a crash left incomplete is dropped: its push had not
// returned. The error is ErrInUse if another Spool has the folder. The caller calls Run, and Close
// when Run has returned.
func Open(dir string, b queue.Backend, o Options) (*Spool, error) {
	f, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("spool %s: %w", dir, err)
	}
	s := &Spool{backend: b, folder: f, max: cmp.Or(o.MaxBytes, DefaultMaxBytes),
		log: cmp.Or(o.Logger, slog.Default()).With("spool", dir), wake: make(chan struct{}, 1)}
	if err := s.load(); err != nil {
		s.Close()
		return nil, fmt.Errorf("spool %s: %w", dir, err)
	}
	return s, nil
}

// load opens the segments of an earlier process.
func (s *Spool) load() error {
	paths, err := s.folder.files()
	if err != nil {
		return err
	}
	for i, path := range paths {
		seg, lost, err := openSegment(path)
		if err != nil {
			return err
		}
		s.segments = append(s.segments, seg)
		if lost > 0 {
			if err := s.lose(seg, lost, i == len(paths)-1); err != nil {
				return err
			}
		}
		s.waiting += seg.jobs
		s.bytes += seg.size
	}
	for _, seg := range slices.Clone(s.segments) {
		if seg.jobs == 0 {
			s.drop(seg)
		}
	}
	if s.waiting > 0 {
		s.begin()
		s.log.Info("pushes of an earlier process are on the disk", "jobs", s.waiting,
			"oldest", s.segments[0].oldest)
	}
	return nil
}

// begin notes that jobs begin to wait, and wakes Run.
func (s *Spool) begin() {
	s.since, s.before = time.Now(), s.replayed
	s.ring()
}

// lose handles bytes at the end of a segment that are no records. At the end of the newest segment
// they are a push that a crash has interrupted, and are cut off. Elsewhere they were readable once,
// and are kept for a person.
func (s *Spool) lose(seg *segment, bytes int64, newest bool) error {
	if !newest {
		seg.damaged = true
		s.log.Error("a file is damaged: the pushes in its last bytes are lost unless they can be "+
			"repaired, and the file is kept", "file", seg.path, "bytes", bytes)
		return nil
	}
	s.log.Warn("a push was interrupted by a crash before it returned, and is dropped", "file",
		seg.path, "bytes", bytes)
	return seg.file.Truncate(seg.size)
}

// Form is the form of the payloads of the Backend behind the spool.
func (s *Spool) Form() queue.Form {
	if f, ok := s.backend.(queue.Former); ok {
		return f.Form()
	}
	return queue.Config{}.Form()
}

// Stats returns how full the spool is.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{Waiting: s.waiting, Bytes: s.bytes, MaxBytes: s.max, Kept: s.kept,
		Replayed: s.replayed, Refused: s.refused}
	if s.waiting > 0 {
		st.Oldest = s.segments[0].oldest
	}
	for _, seg := range s.asides {
		st.Aside += seg.jobs
	}
	return st
}

// Close closes the files. Jobs that wait stay on the disk, and the next Open of the folder finds
// them. It does not close the Backend.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, seg := range append(s.segments, s.asides...) {
		errs = append(errs, seg.file.Close())
	}
	return errors.Join(append(errs, s.folder.close())...)
}

// ring wakes Run.
func (s *Spool) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// drop ends a segment whose jobs are all pushed.
func (s *Spool) drop(seg *segment) {
	same := func(other *segment) bool { return other == seg }
	s.segments, s.asides = slices.DeleteFunc(s.segments, same), slices.DeleteFunc(s.asides, same)
	s.bytes -= seg.size
	if err := s.folder.remove(seg); err != nil {
		s.log.Error("a file whose pushes are done cannot be removed", "file", seg.path, "err", err)
	}
}
