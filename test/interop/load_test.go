package interop

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

// loadJobs is the size of the load. `make interop-new` runs the full size, 20,000.
var loadJobs = flag.Int("jobs", 2000, "number of jobs of the mixed load")

const (
	flaky   = 5  // one job in five fails once, one in ten fails twice
	later10 = 10 // one job in ten is scheduled
)

// load is a mixed fleet under load. Ruby and Go push and run jobs, half each, and meanwhile the
// test presses the buttons of the web page and reads its pages. Mixed in are the payloads of
// strange_test.go.
type load struct {
	*kase
	jobs    int
	presses map[string]int
}

func TestLoad(t *testing.T) {
	t.Run("jobs of a mixed fleet end once each, while buttons are pressed and pages are read",
		func(t *testing.T) { testLoad(&load{newKase(t), *loadJobs, map[string]int{}}) })
}

func testLoad(l *load) {
	queues := []string{"-c", "10", "-q", "default,1", "-q", "push,1"}
	for range 2 {
		l.worker(append([]string{"--log-level", "error", "-q", strangeQueue + ",1"},
			queues...)...)
	}
	ruby := l.Sidekiq(queues...)
	began := time.Now()
	pushed := make(chan error, 1)
	go func() { pushed <- l.pushFromGo() }()
	l.pushFromRuby()
	l.Must(<-pushed)
	all := l.strange()
	for len(l.ended()) < l.jobs-len(all.dead) {
		l.operate()
		if time.Since(began) > time.Duration(10+l.jobs/80)*time.Second {
			l.Fatalf("only %d of %d jobs have ended: %s", len(l.ended()), l.jobs-len(all.dead),
				redistest.Places(l.Context(), l.Raw))
		}
	}
	l.Settled(30 * time.Second)
	l.Logf("%d jobs in %v, %d of them for the dead set; Ruby's worker started %d; buttons "+
		"pressed: %v", l.jobs, time.Since(began).Round(time.Second/10), len(all.dead),
		strings.Count(ruby.Log(), ": start"), l.presses)
	l.check(all)
}

// check reads the ledger: each job has ended once or is dead, and no job is left. No process was
// killed, so no job may run again after it has ended.
func (l *load) check(all strange) {
	l.Helper()
	starts, ends, _ := l.Ledger()
	for id, n := range ends {
		if n > 1 || starts[id] < 1 {
			l.Errorf("%s started %d times and ended %d times", id, starts[id], n)
		}
	}
	l.Equal("jobs that ended", len(ends), l.jobs-len(all.dead))
	l.Equal("jobs in queues or in flight", l.Waiting()+l.InFlight(), 0)
	l.Equal("jobs left in the sets", l.Card("retry")+l.Card("schedule"), 0)
	l.dead(all)
	// Only now, because the list of queues of 8 fails while JSON that is no object is the next job
	// of a queue. Kyu's workers cannot prevent that before they take it.
	l.pages("/queues", "/queues/"+strangeQueue)
}

func (l *load) ended() map[string]int {
	_, ends, _ := l.Ledger()
	return ends
}

// job is the i-th job: its class, arguments and options.
func (l *load) job(i int) (class string, args []any, o queue.Options) {
	o.Queue = []string{"default", "push"}[i%2]
	path, id := l.LedgerPath(), fmt.Sprintf("é<%d>", i)
	class, args = "Test::Ledger", []any{path, id, 0}
	switch {
	case i%(2*flaky) == 1:
		class, args = "Test::Flaky", []any{path, id, 2}
	case i%flaky == 1:
		class, args = "Test::Flaky", []any{path, id, 1}
	case i%later10 == 3:
		o.At = time.Now().Add(time.Duration(1000+rand.IntN(4000)) * time.Millisecond)
	}
	return class, args, o
}

func (l *load) pushFromGo() error {
	all := l.strange()
	for i := range l.jobs {
		found, err := l.pushStrange(all, i)
		if err != nil {
			return err
		}
		if found || i >= l.jobs/2 {
			continue
		}
		class, args, o := l.job(i)
		o.Extra = map[string]any{"vendor": 1.0}
		if _, err := l.Client.Push(context.Background(), class, args, o); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) pushFromRuby() {
	raw := l.strange().raw
	for first := l.jobs / 2; first < l.jobs; first += 500 {
		var jobs []map[string]any
		for i := first; i < min(first+500, l.jobs); i++ {
			if _, found := raw[i]; found {
				continue
			}
			class, args, o := l.job(i)
			job := map[string]any{"class": class, "args": args, "queue": o.Queue, "vendor": 1.0}
			if !o.At.IsZero() {
				job["at"] = float64(o.At.UnixMicro()) / 1e6
			}
			jobs = append(jobs, job)
		}
		l.ruby.Do(nil, `q[0].each { |job| Sidekiq::Client.push(job) }; nil`, jobs)
		l.operate()
	}
}

// operate presses some buttons and reads the pages.
func (l *load) operate() {
	l.Helper()
	l.press("Retry all", `post("/retries/all/retry", {}); nil`)
	l.press("Retry one", `e = Sidekiq::RetrySet.new.first
		post("/retries/#{e.score}-#{e.jid}", "retry" => "1") if e; nil`)
	l.press("Add to queue", `e = Sidekiq::ScheduledSet.new.first
		post("/scheduled", "key" => ["#{e.score}-#{e.jid}"], "add_to_queue" => "1") if e; nil`)
	// Not those that are due at once: reschedule is a ZINCRBY, which adds an entry again that a
	// poller has just taken, and so doubles it. That is Sidekiq's own.
	l.press("reschedule", `
		soon = Time.now.to_f + 0.5
		later = ->(set) { set.lazy.select { |e| e.score > soon }.first(20) }
		later[Sidekiq::ScheduledSet.new].each { |e| e.reschedule(Time.now + 0.5 + rand) }
		later[Sidekiq::RetrySet.new].each { |e| e.reschedule(Time.now + rand) }; nil`)
	l.pages()
	l.OK("", "retries", "retry", "--all", "--yes")
	l.presses["workerctl retries retry --all"]++
	l.unique()
}

func (l *load) press(name, code string) {
	l.ruby.Do(nil, code)
	l.presses[name]++
}

// bothSets reads the retry and schedule sets in one moment.
const bothSets = `return {redis.call('ZRANGE', 'retry', 0, -1, 'WITHSCORES'),
	redis.call('ZRANGE', 'schedule', 0, -1, 'WITHSCORES')}`

// unique checks that no job is in the sets twice. A reschedule of bytes that Ruby would write
// differently adds a second entry, whose score is in 1970.
func (l *load) unique() {
	l.Helper()
	sets, err := l.Raw.Eval(context.Background(), bothSets, nil).Slice()
	l.Must(err)
	seen := map[string]bool{}
	for _, set := range sets {
		flat := set.([]any)
		for i := 0; i+1 < len(flat); i += 2 {
			text, score := flat[i].(string), flat[i+1].(string)
			jid := l.parse(text).JID
			if seen[jid] {
				l.Errorf("in the sets twice: %s", text)
			}
			seen[jid] = true
			seconds, err := strconv.ParseFloat(score, 64)
			l.Must(err)
			if due := time.Until(time.Unix(int64(seconds), 0)); due.Abs() > time.Hour {
				l.Errorf("due in %v: %s", due, text)
			}
		}
	}
}
