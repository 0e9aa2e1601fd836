package database

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// cancelLimit is how long the server has to end a query that was cancelled; then
// its connection is given up.
const cancelLimit = 2 * time.Second

// canceller cancels a query on the server when its context ends, and keeps the
// connection: closed instead, it would take one of a pooler's with it. Unlike pgx's
// own it never breaks a cancel request off: PgBouncer 1.18 ends with "FATAL
// disconnect_client(): bad client state" when a client does so.
type canceller struct {
	conn *pgconn.PgConn
	sent chan struct{} // closed when the server has taken the request
}

// HandleCancel asks the server to cancel; it does not wait.
func (c *canceller) HandleCancel(context.Context) {
	c.conn.Conn().SetDeadline(time.Now().Add(cancelLimit))
	c.sent = make(chan struct{})
	go func() { // ends by its deadline, and HandleUnwatchAfterCancel waits for it
		defer close(c.sent)
		ctx, cancel := context.WithTimeout(context.Background(), cancelLimit)
		defer cancel()
		c.conn.CancelRequest(ctx)
	}()
}

// HandleUnwatchAfterCancel waits until the request cannot meet the next query.
func (c *canceller) HandleUnwatchAfterCancel() {
	<-c.sent
	c.conn.Conn().SetDeadline(time.Time{})
}
