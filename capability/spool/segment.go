package spool

import (
	"bufio"
	"encoding/binary"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A segment's file begins with segmentMark and the place up to which its records are pushed, 8
// bytes. Then follow the records.
const (
	segmentMark = "kyuspl1\n"
	segmentHead = int64(len(segmentMark) + 8)
)

// segment is a file of records.
type segment struct {
	path string
	file *os.File

	syncing sync.Mutex   // held during fsync
	synced  atomic.Int64 // bytes that are on the disk for sure
	failed  error        // why no later bytes are; under syncing

	// The mutex of the Spool guards these fields.
	size, done int64     // bytes that were appended; the records before done are pushed
	jobs       int       // in the records from done on
	loose      int       // jobs in the records from synced on
	oldest     time.Time // none of its jobs was pushed before
	sealed     bool      // nothing is appended any more
	damaged    bool      // what comes after size cannot be read
}

// createSegment makes an empty segment.
func createSegment(path string) (*segment, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	head := binary.LittleEndian.AppendUint64([]byte(segmentMark), uint64(segmentHead))
	if _, err := f.WriteAt(head, 0); err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	s := &segment{path: path, file: f, size: segmentHead, done: segmentHead}
	s.synced.Store(segmentHead)
	return s, nil
}

// openSegment opens the segment of an earlier process, and counts its jobs. lost is how many bytes
// at its end are no records.
func openSegment(path string) (s *segment, lost int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	s = &segment{path: path, file: f, sealed: true}
	info, err := f.Stat()
	if err == nil {
		err = s.scan(info.Size())
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return s, info.Size() - s.size, nil
}

// scan finds the end of the records that can be read, and counts the jobs that are not pushed yet.
func (s *segment) scan(fileSize int64) error {
	head := make([]byte, segmentHead)
	if _, err := s.file.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	if string(head[:len(segmentMark)]) != segmentMark || fileSize < segmentHead {
		return nil // nothing of it can be read
	}
	pushed := int64(binary.LittleEndian.Uint64(head[len(segmentMark):]))
	s.size, s.done = segmentHead, segmentHead
	r := s.reader(segmentHead, fileSize)
	for {
		rec, size, err := r.next()
		if err == io.EOF || err == errRecord {
			break
		}
		if err != nil {
			return err
		}
		if s.jobs == 0 {
			s.oldest = rec.at
		}
		s.size, s.jobs = s.size+size, s.jobs+rec.jobs()
		if s.size == pushed {
			s.done, s.jobs = s.size, 0
		}
	}
	s.synced.Store(s.size)
	return nil
}

// write appends a record. The caller has the mutex of the Spool.
func (s *segment) write(frame []byte, r *record) error {
	if _, err := s.file.WriteAt(frame, s.size); err != nil {
		s.file.Truncate(s.size) // the next record would overwrite it too
		return err
	}
	if s.jobs == 0 {
		s.oldest = r.at
	}
	s.size += int64(len(frame))
	s.jobs += r.jobs()
	s.loose += r.jobs()
	return nil
}

// note writes down up to where the records are pushed. If a crash of the machine undoes it, the
// records are pushed again, and Redis remembers their JIDs.
func (s *segment) note(done int64) error {
	b := binary.LittleEndian.AppendUint64(nil, uint64(done))
	_, err := s.file.WriteAt(b, int64(len(segmentMark)))
	return err
}

// reader returns a reader of the records between two places.
func (s *segment) reader(from, to int64) *recordReader {
	return &recordReader{in: bufio.NewReaderSize(io.NewSectionReader(s.file, from, to-from),
		64<<10), left: to - from}
}

// recordReader reads records one after the other.
type recordReader struct {
	in   *bufio.Reader
	left int64
}

// next returns the next record and its size. The error is io.EOF at the end, and errRecord if the
// bytes are no record.
func (r *recordReader) next() (rec record, size int64, err error) {
	if r.left == 0 {
		return rec, 0, io.EOF
	}
	head, err := r.in.Peek(frameHead)
	if err != nil {
		return rec, 0, incomplete(err)
	}
	size = frameHead + int64(binary.LittleEndian.Uint32(head))
	if size > r.left {
		return rec, 0, errRecord
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(r.in, frame); err != nil {
		return rec, 0, incomplete(err)
	}
	r.left -= size
	rec, err = parseFrame(frame)
	return rec, size, err
}

// incomplete returns errRecord for the end of a file that comes too early, else err.
func incomplete(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errRecord
	}
	return err
}
