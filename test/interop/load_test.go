package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

const (
	loadJobs = 20_000 // half pushed by Ruby, half by Go
	flaky    = 5      // one job in so many fails once, one in twice as many fails twice
	later10  = 10     // one in so many is scheduled
)

// load is a mixed fleet under load: Ruby and Go push, both run, and somebody
// presses the buttons of the web page all the while.
type load struct {
	*suite
	t       *testing.T
	presses map[string]int
}

func TestRubyAndGoServeTheSameQueuesUnderLoad(t *testing.T) {
	l := &load{suite: newSuite(t), t: t, presses: map[string]int{}}
	s := l.site
	queues := []string{"-q", "default", "-q", "push"}
	config := (&kase{Site: s}).config("poll_interval_average: 0.5\n")
	for range 2 {
		s.Worker(append([]string{"-C", config, "-c", "10", "--log-level", "error"}, queues...)...)
	}
	ruby := s.Sidekiq(append([]string{"-c", "10"}, queues...)...)
	began := time.Now()
	pushed := make(chan error, 1)
	go func() { pushed <- l.pushFromGo() }()
	l.pushFromRuby()
	if err := <-pushed; err != nil {
		t.Fatal(err)
	}
	for len(l.ended()) < loadJobs {
		l.operate()
		if time.Since(began) > 4*time.Minute {
			t.Fatalf("only %d of %d jobs have ended", len(l.ended()), loadJobs)
		}
	}
	s.Settled(30 * time.Second)
	starts, ends, _ := s.Ledger()
	again := 0
	for id, n := range ends {
		if n > 1 {
			again++
		}
		if starts[id] < 1 {
			t.Errorf("%s ended without a start", id)
		}
	}
	l.conserved()
	took := time.Since(began)
	t.Logf("%d jobs in %v, %d failures, none lost, %d ended twice; run by %v; buttons pressed: %v",
		len(ends), took.Round(time.Second/10), l.failures(starts)-again, again,
		l.byProcess(ruby), l.presses)
	if again > 0 {
		t.Errorf("%d jobs ended twice, though nothing was killed", again)
	}
	if n := s.Card("retry") + s.Card("schedule") + s.Card("dead"); n != 0 {
		t.Errorf("%d jobs are left in the sets", n)
	}
}

func (l *load) ended() map[string]int {
	_, ends, _ := l.site.Ledger()
	return ends
}

func (l *load) failures(starts map[string]int) (n int) {
	for _, runs := range starts {
		n += runs - 1
	}
	return n
}

// byProcess is who has run how much: Ruby's share is what its log says.
func (l *load) byProcess(ruby *harness.Process) string {
	n := strings.Count(ruby.Log(), "INFO: start")
	return fmt.Sprintf("Ruby %d, Go the rest", n)
}

// one describes the i-th job: its class, arguments and options.
func (l *load) one(i int) (class string, args []any, o queue.Options) {
	o.Queue = []string{"default", "push"}[i%2]
	path, id := l.site.LedgerPath(), fmt.Sprintf("é<%d>", i)
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
	for i := range loadJobs / 2 {
		class, args, o := l.one(i)
		o.Extra = map[string]any{"vendor": 1.0}
		if _, err := l.site.Client.Push(context.Background(), class, args, o); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) pushFromRuby() {
	for first := loadJobs / 2; first < loadJobs; first += 500 {
		var jobs []map[string]any
		for i := first; i < first+500; i++ {
			class, args, o := l.one(i)
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

// operate presses some buttons, as an admin in a hurry would, and looks whether
// the Busy page still stands.
func (l *load) operate() {
	l.press("Retry all", `post("/retries/all/retry", {}); nil`)
	l.press("Retry one", `e = Sidekiq::RetrySet.new.first
		post("/retries/#{e.score}-#{e.jid}", "retry" => "1") if e; nil`)
	l.press("Add to queue", `e = Sidekiq::ScheduledSet.new.first
		post("/scheduled", "key" => ["#{e.score}-#{e.jid}"], "add_to_queue" => "1") if e; nil`)
	l.press("reschedule", `
		Sidekiq::ScheduledSet.new.first(20).each { |e| e.reschedule(Time.now + 0.5 + rand) }
		Sidekiq::RetrySet.new.first(20).each { |e| e.reschedule(Time.now + rand) }; nil`)
	if p := l.ruby.Get("/busy"); p.Status != 200 {
		l.t.Errorf("/busy: %d", p.Status)
	}
	l.site.OK("", "retries", "retry", "--all", "--yes")
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

// unique asserts that no job is in the sets twice: what a reschedule of bytes that
// Ruby would write otherwise makes of it, with a score of 1970.
func (l *load) unique() {
	l.t.Helper()
	sets, err := l.site.Raw.Eval(context.Background(), bothSets, nil).Slice()
	if err != nil {
		l.t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, set := range sets {
		flat := set.([]any)
		for i := 0; i+1 < len(flat); i += 2 {
			var job struct{ JID string }
			if err := json.Unmarshal([]byte(flat[i].(string)), &job); err != nil {
				l.t.Fatal(err)
			}
			if seen[job.JID] {
				l.t.Errorf("doubled: %s", flat[i])
			}
			seen[job.JID] = true
			if score := flat[i+1].(string); !strings.HasPrefix(score, "17") ||
				len(strings.SplitN(score, ".", 2)[0]) != 10 {
				l.t.Errorf("due at %s: %s", score, flat[i])
			}
		}
	}
}

// conserved asserts the law: pushed = done, with nothing waiting anywhere.
func (l *load) conserved() {
	l.t.Helper()
	if n := l.site.Waiting() + l.site.InFlight(); n != 0 || len(l.ended()) != loadJobs {
		l.t.Errorf("%d jobs pushed, %d done, %d waiting or in flight", loadJobs, len(l.ended()), n)
	}
}
