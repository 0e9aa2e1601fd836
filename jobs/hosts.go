package jobs

import (
	"context"
	"embed"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

func mustScript(name string) *redis.Script {
	b, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // the file is embedded
	}
	return redis.NewScript(string(b))
}

var (
	enterScript  = mustScript("enter")
	failedScript = mustScript("failed")
)

// A host's breaker opens after breakAfter failures in a row. While it is open nothing is
// sent to the host; then one request probes it. The time for which it stays open begins
// with coolFirst and doubles with every probe that fails, up to coolMost.
const (
	breakAfter = 3
	coolFirst  = time.Minute
	coolMost   = 30 * time.Minute
	probeLimit = requestLimit + 5*time.Second // until another request may probe
)

// slowAfter is the time after which a request that is still under way counts as slow.
const slowAfter = time.Second

// Hosts keeps hosts that fail or answer slowly from holding all threads. Each host's
// breaker is in Redis, so all workers share it. The requests under way are counted in the
// process: a host may hold at most half of the threads, and an eighth with requests that
// are slow, unless its jobs come from a lane, whose limit holds over all processes; all
// hosts together whose last request failed may hold a twelfth. The methods
// may be called from many goroutines.
type Hosts struct {
	redis   redis.UniversalClient
	log     *slog.Logger
	threads int

	// Jobs read and write these fields, each in its own goroutine, under mu.
	mu       sync.Mutex
	open     map[string][]*visit // requests under way, by host
	suspects int                 // of them, those to hosts whose last request failed
}

// NewHosts makes a Hosts for a worker with that many threads. 0 threads turn limits and
// breakers off, for comparisons.
func NewHosts(rdb redis.UniversalClient, threads int, log *slog.Logger) *Hosts {
	return &Hosts{redis: rdb, threads: threads, log: log, open: map[string][]*visit{}}
}

// visit is a request to a host that is under way. It ends with leave, answered or failed.
type visit struct {
	hosts   *Hosts
	host    string
	since   time.Time
	suspect bool // the host's last request failed; Hosts.suspects counts it
}

// enter asks whether a request may go to a host. If wait is not zero it may not, and the
// caller tries again after wait. While Redis does not answer, every request may go: an
// outage of Redis must not cost a delivery an attempt.
func (h *Hosts) enter(ctx context.Context, host string) (v *visit, wait time.Duration) {
	v = &visit{hosts: h, host: host, since: time.Now()}
	if h.threads == 0 {
		return v, 0
	}
	if !h.take(v, queue.HasLane(ctx)) {
		return nil, soon()
	}
	reply, err := enterScript.Run(ctx, h.redis, []string{queue.BreakerKey(host)},
		probeLimit.Milliseconds(), h.room()).Int64Slice()
	switch {
	case err != nil || len(reply) != 2:
		h.log.Warn("could not read a host's breaker: the request is sent",
			"host", host, "err", err)
		return v, 0
	case reply[0] > 0:
		v.leave()
		// The random part keeps the host's jobs from coming back at the same moment.
		return nil, time.Duration(reply[0])*time.Millisecond + soon()
	case reply[1] > 0 && !h.suspect(v):
		v.leave()
		return nil, soon()
	}
	return v, 0
}

// room returns 1 if another request may go to a host that has failed, else 0.
func (h *Hosts) room() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.suspects < h.suspectLimit() {
		return 1
	}
	return 0
}

func (h *Hosts) suspectLimit() int { return max(1, h.threads/12) }

// soon returns 1 to 3 seconds, after which other requests have probably ended.
func soon() time.Duration { return time.Second + rand.N(2*time.Second) }

// take adds a request to those under way, unless its host has too many. With a lane the host has
// no more than the lane lets run.
func (h *Hosts) take(v *visit, lane bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.open[v.host]
	slow := 0
	for _, other := range list {
		if v.since.Sub(other.since) > slowAfter {
			slow++
		}
	}
	if !lane && (len(list) >= max(1, h.threads/2) || slow >= max(1, h.threads/8)) {
		return false
	}
	h.open[v.host] = append(list, v)
	return true
}

// suspect counts a request to a host whose last request failed, unless there are already
// too many of them.
func (h *Hosts) suspect(v *visit) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.suspects >= h.suspectLimit() {
		return false
	}
	h.suspects++
	v.suspect = true
	return true
}

// leave ends a request that says nothing about the host.
func (v *visit) leave() {
	h := v.hosts
	h.mu.Lock()
	defer h.mu.Unlock()
	if v.suspect {
		h.suspects--
	}
	list := h.open[v.host]
	for i, other := range list {
		if other == v {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(h.open, v.host)
		return
	}
	h.open[v.host] = list
}

// answered ends a request after which the host counts as working: its breaker closes.
func (v *visit) answered(ctx context.Context) {
	v.leave()
	if v.hosts.threads == 0 {
		return
	}
	n, err := v.hosts.redis.Del(ctx, queue.BreakerKey(v.host)).Result()
	if err == nil && n > 0 { // few hosts have one
		err = v.hosts.redis.ZRem(ctx, queue.KeyBreakers, v.host).Err()
	}
	if err != nil {
		v.hosts.log.Warn("could not close a host's breaker", "host", v.host, "err", err)
	} else if n > 0 {
		v.hosts.log.Debug("a host answers again", "host", v.host)
	}
}

// failed ends a request that got no answer, or an answer of 5xx. It counts as a failure
// of the host and may open its breaker.
func (v *visit) failed(ctx context.Context) {
	v.leave()
	if v.hosts.threads == 0 {
		return
	}
	cool, err := failedScript.Run(ctx, v.hosts.redis, []string{queue.BreakerKey(v.host),
		queue.KeyBreakers}, breakAfter, coolFirst.Milliseconds(), coolMost.Milliseconds(),
		v.host).Int64()
	switch {
	case err != nil:
		v.hosts.log.Warn("could not count a host's failure", "host", v.host, "err", err)
	case cool > 0:
		v.hosts.log.Info("a host keeps failing: its jobs wait", "host", v.host,
			"for", time.Duration(cool)*time.Millisecond)
	}
}
