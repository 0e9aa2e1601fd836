package spool_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/spool"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

// quiet are options without a log.
var quiet = spool.Options{MaxBytes: 4 << 30,
	Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}

func openIn(b *testing.B, dir string, backend queue.Backend) *spool.Spool {
	b.Helper()
	s, err := spool.Open(dir, backend, quiet)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkPush pushes one by one while Redis answers, without and with a spool.
func BenchmarkPush(b *testing.B) {
	store := redistest.Start(b).Store()
	s := openIn(b, b.TempDir(), store)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // ends with cancel
	defer func() { cancel(); <-ended }()
	for name, backend := range map[string]queue.Backend{"without": store, "with": s} {
		b.Run(name, func(b *testing.B) { pushAll(b, backend) })
	}
}

func pushAll(b *testing.B, backend queue.Backend) {
	c := queue.NewClient(backend)
	for b.Loop() {
		if _, err := c.Push(b.Context(), "Job", []any{1}, queue.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKeep writes pushes to the disk, one by one and from 16 goroutines.
func BenchmarkKeep(b *testing.B) {
	away := unreachable{}
	b.Run("one by one", func(b *testing.B) { pushAll(b, openIn(b, b.TempDir(), away)) })
	b.Run("by 16", func(b *testing.B) {
		c := queue.NewClient(openIn(b, b.TempDir(), away))
		b.SetParallelism(16)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := c.Push(b.Context(), "Job", []any{1}, queue.Options{}); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkReplay pushes what is on the disk.
func BenchmarkReplay(b *testing.B) {
	dir := b.TempDir()
	s := openIn(b, dir, unreachable{})
	if _, err := queue.NewClient(s).PushBulk(b.Context(), "Job", make([][]any, b.N),
		queue.Options{}); err != nil {
		b.Fatal(err)
	}
	s.Close()
	s = openIn(b, dir, redistest.Start(b).Store())
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	b.ResetTimer()
	go func() { ended <- s.Run(ctx) }() // ends with cancel
	for s.Stats().Waiting > 0 {
		<-time.After(time.Millisecond)
	}
	b.StopTimer()
	cancel()
	<-ended
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// unreachable is a Backend that does not answer.
type unreachable struct{}

func (unreachable) PushBatches(context.Context, []queue.Batch) error { return queue.ErrUnknown }
