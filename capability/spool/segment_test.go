package spool

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// example is a record with everything that records have.
var example = record{time.UnixMicro(1764380000123456), []queue.Batch{
	{Queue: "a", Jobs: []queue.Pushed{{JID: "1", Payload: `{"jid":"1"}`},
		{JID: "2", Payload: "\xff\x00", Claims: []queue.Claim{
			{Effect: queue.Effect{Kind: "unique", Keys: []string{"k"}, Args: []string{"", "é"}}},
			{Effect: queue.Effect{Kind: "cron"}}}}}},
	{Jobs: []queue.Pushed{{JID: "3", Payload: "{}", At: time.UnixMicro(1 << 55)}}},
}}

func TestRecord(t *testing.T) {
	frame := example.appendFrame(nil)
	t.Run("is read as it was written", func(t *testing.T) {
		got, err := parseFrame(frame)
		if err != nil || !reflect.DeepEqual(got, example) {
			t.Errorf("%+v, %v", got, err)
		}
		if got.jobs() != 3 {
			t.Errorf("%d jobs", got.jobs())
		}
	})
	t.Run("is refused when any of its bytes differs", func(t *testing.T) {
		for i := range frame {
			frame[i] ^= 0x10
			if _, err := parseFrame(frame); err != errRecord {
				t.Errorf("byte %d: %v", i, err)
			}
			frame[i] ^= 0x10
		}
	})
	t.Run("is refused when it is cut anywhere", func(t *testing.T) {
		for i := range frame {
			if _, err := parseFrame(frame[:i]); err != errRecord {
				t.Errorf("%d bytes: %v", i, err)
			}
		}
	})
}

func TestFailedSync(t *testing.T) {
	s, err := Open(t.TempDir(), away1{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.PushBatches(t.Context(), example.batches); err != nil {
		t.Fatal(err)
	}
	seg := s.segments[0]
	r := record{time.Now(), example.batches}
	_, end, err := s.append(&r, nil)
	if err != nil {
		t.Fatal(err)
	}
	seg.file.Close() // so that fsync fails
	t.Run("makes the outcome of the push unknown", func(t *testing.T) {
		for range 2 { // pushes that wait for the same fsync
			if err := s.sync(seg, end); !errors.Is(err, queue.ErrUnknown) {
				t.Error(err)
			}
		}
	})
	t.Run("leaves the pushes before it, and the next go to another file", func(t *testing.T) {
		if n := s.Stats().Waiting; n != 3 {
			t.Errorf("%d jobs wait, want 3", n)
		}
		if err := s.PushBatches(t.Context(), example.batches); err != nil {
			t.Error(err)
		}
		if n := s.Stats().Waiting; n != 6 || len(s.segments) != 2 {
			t.Errorf("%d jobs wait in %d files, want 6 in 2", n, len(s.segments))
		}
	})
}

// away1 is a Backend that does not answer.
type away1 struct{ queue.Backend }

func (away1) PushBatches(context.Context, []queue.Batch) error { return queue.ErrUnknown }

// FuzzSegment opens files of any bytes. What can be read must be written as the same bytes again,
// and what comes after it must be no record.
func FuzzSegment(f *testing.F) {
	whole := example.appendFrame(example.appendFrame(nil))
	for _, seed := range [][]byte{nil, whole, whole[:len(whole)-1], whole[3:], {1, 0, 0, 0}} {
		f.Add(seed, int64(segmentHead))
		f.Add(seed, int64(segmentHead)+int64(len(whole)/2))
	}
	f.Fuzz(func(t *testing.T, content []byte, pushed int64) {
		path := filepath.Join(t.TempDir(), "1.spool")
		made, err := createSegment(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = made.file.WriteAt(content, segmentHead)
		if err := errors.Join(err, made.note(pushed), made.file.Close()); err != nil {
			t.Fatal(err)
		}
		s, lost, err := openSegment(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.file.Close()
		if s.size+lost != segmentHead+int64(len(content)) || s.done > s.size || s.jobs < 0 {
			t.Fatalf("size %d, lost %d, done %d of %d bytes", s.size, lost, s.done, len(content))
		}
		jobs, at := 0, segmentHead
		r := s.reader(at, s.size)
		for {
			rec, size, err := r.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if at >= s.done {
				jobs += rec.jobs()
			}
			at += size
		}
		if jobs != s.jobs {
			t.Errorf("%d jobs, but it counts %d", jobs, s.jobs)
		}
		parser := parser{rest: content} // also without a checksum that is right
		if rec := parser.record(); !parser.bad && len(parser.rest) == 0 {
			again := parserOf(rec.append(nil)).record()
			if !reflect.DeepEqual(again, rec) {
				t.Errorf("%+v was read again as %+v", rec, again)
			}
		}
	})
}

func parserOf(b []byte) *parser { return &parser{rest: b} }
