package live

import (
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// result is what a run has shown.
type result struct {
	waits               []float64 // of all updates of all clients, sorted, in milliseconds
	states              int       // that any client was sent
	emptyMB, residentMB float64   // RAM of the server without clients, and the most with them
	cpu                 float64   // share of a core
	byes                int       // clients that were told when to come back
	back                time.Duration
}

// result waits until the server has ended all streams, and adds up what the clients have noted.
func (c *crowd) result() *result {
	ended := time.AfterFunc(30*time.Second, func() {
		for _, r := range c.readers {
			r.conn.Close()
		}
	})
	c.running.Wait()
	ended.Stop()
	r := &result{}
	made := map[int64]bool{}
	for _, one := range c.readers {
		r.waits = append(r.waits, one.waits...)
		for at := range one.made {
			made[at] = true
		}
		if one.bye > 0 {
			r.byes++
			r.back = max(r.back, one.bye)
		}
	}
	r.states = len(made)
	slices.Sort(r.waits)
	return r
}

func (r *result) quantile(share float64) float64 { return lab.Quantile(r.waits, share) }

// missing is the share of updates that clients were not sent because they had not taken the one
// before, in percent.
func (r *result) missing(clients int) float64 {
	return 100 * (1 - lab.Ratio(float64(len(r.waits)), float64(clients*r.states)))
}

// perClient is the RAM of the server for each client, in KiB.
func (r *result) perClient(clients int) float64 {
	return (r.residentMB - r.emptyMB) * 1024 / float64(clients)
}
