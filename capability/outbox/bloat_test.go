package outbox_test

import (
	"flag"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
)

var manyRows = flag.Int("rows", 30_000, "how many rows TestBloat moves, 10,000 at a time")

// size returns the bytes of the table with its indexes.
func (f *fixture) size() (bytes int64) {
	f.Helper()
	err := f.db.Pool().QueryRow(f.Context(),
		"SELECT pg_total_relation_size('kyu_outbox')").Scan(&bytes)
	if err != nil {
		f.Fatal(err)
	}
	return bytes
}

// TestBloat moves many rows. The table does not grow with their number: with -args -rows 10000000
// it is autovacuum, at its usual interval of a minute, that keeps it small.
func TestBloat(t *testing.T) {
	f := newFixture(t, "max_wal_size=2GB")
	t.Run("the table does not grow with the number of rows", func(t *testing.T) {
		f := f.in(t)
		f.run()
		began, largest := time.Now(), int64(0)
		for moved := 0; moved < *manyRows; moved += 10_000 {
			f.fill(10_000)
			// Redis would need gigabytes for the jobs, which nobody runs.
			testwait.Until(t, time.Minute, "few rows wait", func() bool {
				return f.relay.Counts().Relayed >= int64(moved-10_000)
			})
			if moved%200_000 == 0 {
				largest = max(largest, f.size())
				f.raw.FlushAll(t.Context())
			}
		}
		testwait.Until(t, time.Minute, "all are moved", func() bool {
			return f.relay.Counts().Relayed == int64(*manyRows)
		})
		rate := float64(*manyRows) / time.Since(began).Seconds()
		last := f.size()
		f.exec("VACUUM kyu_outbox")
		t.Logf("%d rows, %.0f a second: %d KB at most, %d KB at the end, %d KB after a vacuum",
			*manyRows, rate, largest>>10, last>>10, f.size()>>10)
		most := int64(4 << 20)
		if *manyRows > 1_000_000 { // a minute's worth of pages that a vacuum keeps for later
			most = 64 << 20
		}
		if f.size() > most {
			t.Errorf("%d bytes after a vacuum, want %d at most", f.size(), most)
		}
	})
}
