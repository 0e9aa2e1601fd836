package outbox_test

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// fill writes n rows with plain SQL, in transactions of 10,000.
func (f *fixture) fill(n int) {
	f.Helper()
	for ; n > 0; n -= 10_000 {
		f.exec(`INSERT INTO kyu_outbox (queue, payload) SELECT 'a', '{"retry":true,"queue":"a",' ||
			'"class":"ActivityPub::DeliveryWorker","args":[' || i || ',"https://example.com/in",' ||
			'{}],"jid":"' || md5(i::text) || '","created_at":1764412345.123,' ||
			'"enqueued_at":1764412345.123}' FROM generate_series(1, $1::int) AS i`, min(n, 10_000))
	}
}

// BenchmarkRelay moves rows that wait, with a Postgres that syncs each commit.
func BenchmarkRelay(b *testing.B) {
	f := newBench(b)
	f.fill(b.N)
	f.exec("ANALYZE kyu_outbox")
	b.ResetTimer()
	f.relay.Flush(b.Context())
	for f.relay.Counts().Relayed < int64(b.N) {
		f.relay.Flush(b.Context())
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkTx pushes one job a transaction from 16 goroutines, as fast as they can.
func BenchmarkTx(b *testing.B) {
	f := newBench(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				f.tx(func(tx pgx.Tx) error {
					_, err := outbox.Push(b.Context(), tx, "Job", nil, queue.Options{Queue: "a"})
					return err
				})
				f.relay.Flush(b.Context())
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}

// BenchmarkStart pushes 200 jobs a second, one a transaction, and measures the time from the commit
// to the start of the job in a worker.
func BenchmarkStart(b *testing.B) {
	f := newBench(b)
	started := make(chan time.Duration, b.N)
	committed := make([]atomic.Int64, b.N)
	f.work(func(_ context.Context, i int) error {
		for committed[i].Load() == 0 { // the job may start before the commit has returned
			runtime.Gosched()
		}
		started <- time.Duration(time.Now().UnixNano() - committed[i].Load())
		return nil
	})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range b.N {
		<-tick.C
		all.Go(func() {
			f.tx(func(tx pgx.Tx) error {
				_, err := outbox.Push(b.Context(), tx, "Job", []any{i}, queue.Options{Queue: "a"})
				return err
			})
			committed[i].Store(time.Now().UnixNano())
			f.relay.Flush(b.Context())
		})
	}
	all.Wait()
	list := make([]time.Duration, b.N)
	for i := range list {
		list[i] = <-started
	}
	slices.Sort(list)
	b.ReportMetric(float64(list[len(list)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(list[len(list)*99/100].Microseconds())/1000, "p99-ms")
}

// work runs the jobs of the queue a in a worker until the end of the benchmark.
func (f *fixture) work(handler func(context.Context, int) error) {
	f.Helper()
	mux := worker.NewMux()
	worker.Handle(mux, "Job", handler)
	r, err := worker.New(f.store, worker.Config{Mux: mux, Logger: slog.New(slog.DiscardHandler),
		Capsules: []worker.Capsule{{Concurrency: 10, Queues: []worker.QueueWeight{{Name: "a"}}}}})
	if err != nil {
		f.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }() // ends with ctx, in the cleanup
	f.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			f.Error(err)
		}
	})
}
