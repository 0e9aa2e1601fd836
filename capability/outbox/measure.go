package outbox

import (
	"context"
	"time"
)

// Figures are the figures of the table for metrics.
type Figures struct {
	Waiting int64         // rows whose jobs are not in Redis yet, 100,000 at most
	Oldest  time.Duration // the age of the first of them
	Aside   int64         // rows that hold no job, 100,000 at most
}

// Measure reads the figures of the table, by one query. The error is ErrNoTable without a table.
func (r *Relay) Measure(ctx context.Context) (f Figures, err error) {
	var oldest float64
	err = r.Pool.QueryRow(ctx, `SELECT w.n, w.oldest, a.n FROM
		(SELECT count(*) AS n, COALESCE(extract(epoch FROM now() - min(created_at)), 0)::float8
		AS oldest FROM (SELECT created_at FROM kyu_outbox WHERE error IS NULL ORDER BY id LIMIT $1)
		AS waiting) AS w, (SELECT count(*) AS n FROM (SELECT FROM kyu_outbox
		WHERE error IS NOT NULL LIMIT $1) AS aside) AS a`, unprepared, maxCounted).Scan(&f.Waiting,
		&oldest, &f.Aside)
	f.Oldest = time.Duration(oldest * float64(time.Second))
	return f, explain(err)
}
