package outbox_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/queue"
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

// BenchmarkTx pushes one job a transaction from 16 goroutines, and measures the time from the
// commit to the moment when a worker has fetched the job.
func BenchmarkTx(b *testing.B) {
	f := newBench(b)
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make(chan time.Duration, b.N)
	b.ResetTimer()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				var committed time.Time
				err := pgx.BeginFunc(b.Context(), f.db.Pool(), func(tx pgx.Tx) error {
					_, err := outbox.Push(b.Context(), tx, "Job", nil, queue.Options{Queue: "a"})
					committed = time.Now()
					return err
				})
				if err != nil {
					b.Error(err)
				}
				f.relay.Flush(b.Context())
				took <- time.Since(committed)
			}
		})
	}
	all.Wait()
	close(took)
	var list []time.Duration
	for d := range took {
		list = append(list, d)
	}
	slices.Sort(list)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
	b.ReportMetric(float64(list[len(list)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(list[len(list)*99/100].Microseconds())/1000, "p99-ms")
}
