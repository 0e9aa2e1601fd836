package database

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// cancelLimit is the time that the server has to end a cancelled query. Afterwards the
// connection is closed.
const cancelLimit = 2 * time.Second

// canceller cancels a query on the server when its context ends, and keeps the
// connection: closing it would also close one of a pooler's connections to the server.
// Unlike pgx's own handler it never aborts a cancel request, because PgBouncer 1.18 then
// ends with "FATAL disconnect_client(): bad client state".
type canceller struct {
	conn *pgconn.PgConn
	sent chan struct{} // closed when the server has taken the request
}

// HandleCancel sends the cancel request in the background.
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

// HandleUnwatchAfterCancel waits until the request has been taken, so that it cannot
// cancel the next query.
func (c *canceller) HandleUnwatchAfterCancel() {
	<-c.sent
	c.conn.Conn().SetDeadline(time.Time{})
}
