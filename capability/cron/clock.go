package cron

import (
	"sync/atomic"
	"time"
)

// clock tells the time of Redis. Between two readings it runs by the process's own clock, of which
// only differences are used. So a process whose clock is wrong is not early or late.
type clock struct {
	local func() time.Time // time.Now, or a clock of a test
	at    atomic.Pointer[reading]
}

// reading is one look at Redis's clock.
type reading struct{ local, redis time.Time }

// set notes that Redis's clock read ms milliseconds when the reply came that was asked for at sent.
func (c *clock) set(sent time.Time, ms int64) {
	half := c.local().Sub(sent) / 2
	c.at.Store(&reading{sent.Add(half), time.UnixMilli(ms)})
}

// now returns the time by Redis's clock, or the local time before the first reading.
func (c *clock) now() time.Time {
	local := c.local()
	if r := c.at.Load(); r != nil {
		return r.redis.Add(local.Sub(r.local))
	}
	return local
}
