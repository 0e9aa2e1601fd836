package jobs

import (
	"context"
	"embed"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

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

// Breaker opens after so many failures of a host in a row, and stays open for a
// while that doubles with every probe that fails.
const (
	breakAfter = 3
	coolFirst  = time.Minute
	coolMost   = 30 * time.Minute
	probeLimit = requestLimit + 5*time.Second
)

// slowAfter is when a request counts as one to a slow host.
const slowAfter = time.Second

// Hosts keeps hosts that are dead or slow from holding all threads. A breaker per
// host is in Redis, so all workers know it, and a new one knows it at once. How
// many requests a host may hold is counted in the process: at most half of the
// threads, an eighth for requests that are slow, and a twelfth for all hosts
// together that have failed last.
type Hosts struct {
	redis   redis.UniversalClient
	log     *slog.Logger
	threads int

	mu       sync.Mutex
	open     map[string][]*visit // requests under way, by host
	suspects int                 // of them, those to hosts that have failed last
}

// NewHosts makes a Hosts for a worker with so many threads. With 0 threads there are
// neither limits nor breakers: for comparisons.
func NewHosts(rdb redis.UniversalClient, threads int, log *slog.Logger) *Hosts {
	return &Hosts{redis: rdb, threads: threads, log: log, open: map[string][]*visit{}}
}

// visit is a request to a host.
type visit struct {
	hosts   *Hosts
	host    string
	since   time.Time
	suspect bool
}

// enter asks to send to a host. If wait is not zero, it is not allowed now, and
// should be tried after wait. While Redis does not answer, every host may be sent to:
// that must not cost a delivery an attempt.
func (h *Hosts) enter(ctx context.Context, host string) (v *visit, wait time.Duration) {
	v = &visit{hosts: h, host: host, since: time.Now()}
	if h.threads == 0 {
		return v, 0
	}
	if !h.take(v) {
		return nil, soon()
	}
	reply, err := enterScript.Run(ctx, h.redis, []string{breakerKey(host)},
		probeLimit.Milliseconds(), h.room()).Int64Slice()
	switch {
	case err != nil || len(reply) != 2:
		h.log.Warn("the breaker of a host cannot be asked: it is sent to all the same",
			"host", host, "err", err)
		return v, 0
	case reply[0] > 0:
		v.leave()
		// What waits for the same host does not come back at the same moment.
		return nil, time.Duration(reply[0])*time.Millisecond + soon()
	case reply[1] > 0 && !h.suspect(v):
		v.leave()
		return nil, soon()
	}
	return v, 0
}

// room reports whether another request may go to a host that has failed: 1 or 0.
func (h *Hosts) room() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.suspects < h.suspectLimit() {
		return 1
	}
	return 0
}

func (h *Hosts) suspectLimit() int { return max(1, h.threads/12) }

func breakerKey(host string) string { return "kyu:breaker:" + host }

// soon is a short wait: what was held back comes again when others have ended.
func soon() time.Duration { return time.Second + rand.N(2*time.Second) }

// take notes a request, unless its host holds too many.
func (h *Hosts) take(v *visit) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.open[v.host]
	slow := 0
	for _, other := range list {
		if v.since.Sub(other.since) > slowAfter {
			slow++
		}
	}
	if len(list) >= max(1, h.threads/2) || slow >= max(1, h.threads/8) {
		return false
	}
	h.open[v.host] = append(list, v)
	return true
}

// suspect notes that a request goes to a host that has failed, unless there are too
// many such already.
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

// leave ends a request whose outcome says nothing about the host.
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

// answered ends a request that the host has answered, however: its breaker closes.
func (v *visit) answered(ctx context.Context) {
	v.leave()
	if v.hosts.threads == 0 {
		return
	}
	n, err := v.hosts.redis.Del(ctx, breakerKey(v.host)).Result()
	if err != nil {
		v.hosts.log.Warn("the breaker of a host could not be closed", "host", v.host, "err", err)
	} else if n > 0 {
		v.hosts.log.Debug("a host answers again", "host", v.host)
	}
}

// failed ends a request that the host has not answered, or with an error of its own.
func (v *visit) failed(ctx context.Context) {
	v.leave()
	if v.hosts.threads == 0 {
		return
	}
	cool, err := failedScript.Run(ctx, v.hosts.redis, []string{breakerKey(v.host)}, breakAfter,
		coolFirst.Milliseconds(), coolMost.Milliseconds()).Int64()
	switch {
	case err != nil:
		v.hosts.log.Warn("a failure of a host could not be counted", "host", v.host, "err", err)
	case cool > 0:
		v.hosts.log.Info("a host does not answer: its jobs wait", "host", v.host,
			"for", time.Duration(cool)*time.Millisecond)
	}
}
