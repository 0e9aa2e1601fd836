package worker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

const (
	// historyEvery is the time between two flushes: the length of a slot of the finest ring. A
	// process flushes once in each slot, at a moment of its own between historyFrom and historyTo
	// after the beginning of the slot. Near the end of the slot, length and counts are those of
	// the slot; a few seconds before it, a slow Redis delays the flush into no other.
	historyEvery = 10 * time.Second
	historyFrom  = 6 * time.Second
	historyTo    = 8 * time.Second
	// historyKept is how long counts that Redis does not accept are kept. Later they would show as
	// a peak at a time at which there was none.
	historyKept = 10 * time.Minute
	// runsEvery is the number of flushes from one flush of classes to the next: their slots are an
	// hour long.
	runsEvery = 6
	// historyWithin is how long a call may take. A call that takes longer is sent again, and counts
	// once.
	historyWithin = time.Second
	// lastHistory is how long a stop tries to write what is left. History is not worth more.
	lastHistory = time.Second / 2
)

// historian adds to the history of queues and classes in Redis. What Redis does not accept is lost
// after a while, and nothing else happens: history delays no job. Its loop is the goroutine of Run.
type historian struct {
	// New writes these; afterwards they do not change.
	ledger *ledger
	outage *outage
	owner  func() *queue.Owner      // the present identity
	drain  func()                   // calls add with the runs that slots still have
	rings  func(name string) string // the pattern of the keys of a queue's rings
	log    *slog.Logger
	moment time.Duration // of the flush, after the beginning of a slot

	// Only the loop reads and writes these.
	pages  []*historyPage
	held   map[string]int64 // jobs in flight at the last look, by queue
	number uint64           // of the last flush
	runs   runsFlush
	turns  int             // flushes of queues since the last one of classes
	told   map[string]bool // the troubles that are logged, and have not ended

	mu      sync.Mutex
	classes map[string]*queue.ClassMetrics // since the last flush; guarded by mu
}

func newHistorian(l *ledger, o *outage, log *slog.Logger) *historian {
	h := &historian{ledger: l, outage: o, owner: l.owners.current, log: log,
		moment: historyFrom + rand.N(historyTo-historyFrom), held: map[string]int64{},
		told: map[string]bool{}, classes: map[string]*queue.ClassMetrics{}}
	for names := range slices.Chunk(l.queues, queue.MaxHistoryQueues) {
		h.pages = append(h.pages, newHistoryPage(names))
	}
	return h
}

// Run flushes once in every slot until ctx ends, and then once more, unless Redis is away.
func (h *historian) Run(ctx context.Context) error {
	for sleep(ctx, h.flush(ctx)) {
		if h.turns++; h.turns >= runsEvery {
			h.flushRuns(ctx)
		}
	}
	if h.outage.last() != nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastHistory)
	defer cancel()
	h.drain()
	h.flush(last)
	h.flushRuns(last)
	return nil
}

// untilFlush is how long after now, a time of Redis, the next flush comes: at a moment of the next
// slot.
func untilFlush(now time.Time, moment time.Duration) time.Duration {
	return now.Truncate(historyEvery).Add(historyEvery + moment).Sub(now)
}

// flush writes the history of all queues, and returns how long to wait for the next flush.
func (h *historian) flush(ctx context.Context) (wait time.Duration) {
	h.collect()
	wait = jittered(historyEvery)
	for i := 0; i < len(h.pages); i++ {
		now, err := h.send(ctx, h.pages[i])
		switch {
		case err == nil:
			wait = untilFlush(now, h.moment)
		case !redisdb.Rejected(err):
			return wait // another page would fare no better
		case len(h.pages[i].queues) > 1:
			h.split(i) // one of the queues has a key that is forbidden
			i--
		}
	}
	return wait
}

// collect adds what happened since the last look to the pages.
func (h *historian) collect() {
	out, held := h.ledger.flow()
	now := time.Now()
	for _, p := range h.pages {
		for _, name := range p.queues {
			left := out[name] + held[name] - h.held[name]
			if p.since.IsZero() && (out[name] != 0 || left != 0) {
				p.since = now
			}
			p.flows[name].Out += out[name]
			p.flows[name].Left += left
		}
	}
	h.held = held
}

// judge logs what is wrong with the history of queues, once until it ends.
func (h *historian) judge(queues, broken []string, err error) {
	for _, name := range queues {
		h.tell("wrong type of "+name, slices.Contains(broken, name), "history cannot be written "+
			"to a key of a wrong type: rename or delete it", "queue", name, "keys", h.rings(name))
	}
	one := len(queues) == 1
	h.tell("refused "+queues[0], one && redisdb.Rejected(err),
		"Redis refuses the history of a queue, which is not written: allow this user the keys "+
			"kyu:* that docs/redis.md names", "queue", queues[0], "err", err)
	h.tell("nothing", redisdb.ServesNobody(err),
		"Redis accepts no history, which is not written meanwhile", "err", err)
}

// tell logs a trouble when it begins.
func (h *historian) tell(trouble string, now bool, text string, args ...any) {
	if now && !h.told[trouble] {
		h.log.Warn(text, args...)
	}
	if h.told[trouble] = now; !now {
		delete(h.told, trouble)
	}
}
