package outbox

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// page is what one transaction has moved.
type page struct {
	rows int
	full bool // there may be more rows
}

// page moves the first rows of the table: it locks them, pushes their jobs, deletes them, and
// commits. With wait it waits for another process that does the same; else it does nothing then.
func (r *Relay) page(ctx context.Context, wait bool) (p page, err error) {
	err = pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error { return nil })
	return p, err
}
