package redisdb

import (
	"context"
	"time"
)

// Over reports whether the time of ctx is over. Use it, and not ctx.Err, to tell why a call has
// failed: the connection has the deadline of ctx too, so a reply can be given up before the timer
// of ctx has fired.
func Over(ctx context.Context) bool {
	end, has := ctx.Deadline()
	return has && !time.Now().Before(end)
}
