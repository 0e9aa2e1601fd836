package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a Runner on a Redis of its own.
type bench struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
	client *queue.Client
	mux    *worker.Mux
	config worker.Config
	log    testwait.Log
	runner *worker.Runner
	ended  chan error
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, server: redistest.Start(t), mux: worker.NewMux()}
	b.raw, b.store = b.server.Client(), b.server.Store()
	b.client = queue.NewClient(b.store)
	b.config = worker.Config{Capsules: []worker.Capsule{
		{Concurrency: 5, Queues: []worker.QueueWeight{{Name: "a"}, {Name: "b"}}}},
		Timeout: 10 * time.Second, PollFixed: 50 * time.Millisecond}
	return b
}

// run starts the Runner and waits until it takes jobs. It is stopped with the
// test, if it was not before.
func (b *bench) run() *worker.Runner {
	b.Helper()
	return b.runOn(b.store)
}

func (b *bench) runOn(store *queue.Store) *worker.Runner {
	b.Helper()
	c := b.config
	c.Mux, c.Logger = b.mux, slog.New(slog.NewTextHandler(&b.log,
		&slog.HandlerOptions{Level: slog.LevelDebug}))
	r, err := worker.New(store, c)
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(context.Background()) }()
	select {
	case <-r.Running():
	case err := <-ended:
		b.Fatal("did not start:", err)
	}
	b.runner, b.ended = r, ended
	b.Cleanup(func() {
		r.Stop()
		r.Stop()
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			b.Error("the Runner does not stop")
		}
		if b.Failed() {
			b.Log(b.log.String())
		}
	})
	return r
}

// stop stops the Runner and returns its error.
func (b *bench) stop() error {
	b.Helper()
	b.runner.Stop()
	select {
	case err := <-b.ended:
		b.ended <- err
		return err
	case <-time.After(30 * time.Second):
		b.Fatal("the Runner does not stop")
		return nil
	}
}

func (b *bench) push(class string, args []any, o queue.Options) string {
	b.Helper()
	if o.Queue == "" {
		o.Queue = "a"
	}
	jid, err := b.client.Push(b.Context(), class, args, o)
	if err != nil {
		b.Fatal(err)
	}
	return jid
}

func (b *bench) until(what string, cond func() bool) {
	b.Helper()
	testwait.Until(b, 15*time.Second, what, cond)
}

// calls is how often Redis has carried out a command.
func (b *bench) calls(command string) (n int) {
	for line := range strings.Lines(b.raw.Info(b.Context(), "commandstats").Val()) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			fmt.Sscanf(rest, "%d", &n)
		}
	}
	return n
}

func (b *bench) size(set string) int64 { return b.raw.ZCard(b.Context(), set).Val() }

// handle registers a handler without arguments.
func (b *bench) handle(class string, fn func(context.Context) error, o ...worker.Options) {
	worker.Handle(b.mux, class, func(ctx context.Context, _ []json.RawMessage) error {
		return fn(ctx)
	}, o...)
}

// empty reports whether nothing is in flight anywhere.
func (b *bench) empty() bool {
	for _, pattern := range []string{"kyu:*inflight*", "kyu:*landing*", "queue:*"} {
		if len(b.raw.Keys(b.Context(), pattern).Val()) > 0 {
			return false
		}
	}
	return true
}

// ran collects what has run, in order.
type ran struct {
	mu   sync.Mutex
	list []string
}

func (r *ran) add(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, s)
}

func (r *ran) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

func TestAFailedJobIsRetriedByThePollerAndEnds(t *testing.T) {
	b := newBench(t)
	var counts ran
	b.handle("Flaky", func(ctx context.Context) error {
		n, again := queue.JobFrom(ctx).RetryCount()
		counts.add(fmt.Sprint(n, again))
		if !again {
			return errors.New("first time")
		}
		return nil
	})
	b.run()
	jid := b.push("Flaky", nil, queue.Options{Retry: queue.RetryMax(3)})
	b.until("in the retry set", func() bool { return b.size("retry") == 1 })
	e, err := inspect.New(b.store).RetrySet().Find(t.Context(), jid)
	if err != nil {
		t.Fatal(err)
	}
	if wait := time.Until(e.At); wait < 13*time.Second || wait > 25*time.Second {
		t.Errorf("due in %v, want 15 s and up to 9 of jitter", wait)
	}
	b.store.RetrySet().Reschedule(t.Context(), e, time.Now())
	b.until("done", func() bool { return b.size("retry") == 0 && b.empty() })
	if got := counts.all(); !slices.Equal(got, []string{"0 false", "0 true"}) {
		t.Errorf("runs: %v", got)
	}
}

func TestAPanicIsAFailureWithItsStack(t *testing.T) {
	b := newBench(t)
	var failures ran
	b.config.ErrorHandlers = []worker.ErrorHandler{
		func(_ context.Context, err error, j *queue.Job) {
			failures.add(j.Class + ": " + err.Error())
		},
		func(context.Context, error, *queue.Job) { panic("an error handler's own") },
	}
	b.handle("Panic", func(context.Context) error { panic("oh no") })
	b.run()
	b.push("Panic", nil, queue.Options{Backtrace: -1})
	b.until("failed", func() bool { return b.size("retry") == 1 })
	page, _ := inspect.New(b.store).RetrySet().Page(t.Context(), 0, 1)
	j := page[0].Job
	if j.String("error_class") != "panic" || j.String("error_message") != "panic: oh no" ||
		j.String("error_backtrace") == "" {
		t.Error(j.Raw())
	}
	if got := failures.all(); len(got) != 1 || got[0] != "Panic: panic: oh no" {
		t.Errorf("told %v", got)
	}
}

func TestGoexitIsAFailureAndCostsNoThread(t *testing.T) {
	b := newBench(t)
	b.config.Capsules[0].Concurrency = 1
	b.handle("Exit", func(context.Context) error { runtime.Goexit(); return nil })
	var runs ran
	b.handle("Job", func(context.Context) error { runs.add("ran"); return nil })
	r := b.run()
	for i := range 3 {
		b.push("Exit", nil, queue.Options{})
		b.push("Job", nil, queue.Options{})
		b.until("the job behind it runs", func() bool { return len(runs.all()) == i+1 })
	}
	b.until("they have failed", func() bool {
		return b.size("retry") == 3 && b.empty() && r.Status().Busy == 0
	})
	page, _ := inspect.New(b.store).RetrySet().Page(t.Context(), 0, 1)
	if msg := page[0].Job.String("error_message"); !strings.Contains(msg, "runtime.Goexit") {
		t.Error(msg)
	}
}

func TestBytesThatAreNoJobGoToTheDeadSetUnchanged(t *testing.T) {
	b := newBench(t)
	b.run()
	b.raw.LPush(t.Context(), "queue:a", "{bad json \xff")
	b.until("dead", func() bool { return b.size("dead") == 1 })
	if got := b.raw.ZRange(t.Context(), "dead", 0, -1).Val()[0]; got != "{bad json \xff" {
		t.Errorf("%q", got)
	}
	b.until("settled", b.empty)
}

func TestAnUnknownClassIsRetriedAndNamesWhatIsKnown(t *testing.T) {
	b := newBench(t)
	b.handle("Known::One", func(context.Context) error { return nil })
	b.run()
	b.push("Missing::Klass", nil, queue.Options{})
	b.until("failed", func() bool { return b.size("retry") == 1 })
	page, _ := inspect.New(b.store).RetrySet().Page(t.Context(), 0, 1)
	j := page[0].Job
	if msg := j.String("error_message"); j.String("error_class") != "NameError" ||
		!strings.Contains(msg, "Missing::Klass") || !strings.Contains(msg, "Known::One") {
		t.Error(j.Raw())
	}
}

func TestWhatHandlersSteer(t *testing.T) {
	b := newBench(t)
	var deaths ran
	b.config.DeathHandlers = []worker.DeathHandler{func(_ context.Context, j *queue.Job, _ error) {
		deaths.add(j.Class)
	}}
	b.handle("Discard", func(context.Context) error { return queue.Discard(errors.New("x")) })
	b.handle("Kill", func(context.Context) error { return queue.Kill(errors.New("x")) })
	b.handle("Snooze", func(context.Context) error { return queue.Snooze(time.Hour) })
	b.handle("Never", func(context.Context) error { return errors.New("x") })
	b.run()
	b.push("Discard", nil, queue.Options{})
	b.push("Kill", nil, queue.Options{})
	snoozed := b.push("Snooze", nil, queue.Options{})
	b.push("Never", nil, queue.Options{Retry: queue.NeverRetry})
	b.until("all settled", func() bool {
		return b.empty() && b.size("dead") == 1 && b.size("schedule") == 1
	})
	b.until("deaths are told", func() bool { return len(deaths.all()) == 3 })
	got := deaths.all()
	slices.Sort(got)
	if !slices.Equal(got, []string{"Discard", "Kill", "Never"}) || b.size("retry") != 0 {
		t.Errorf("deaths %v", got)
	}
	e, err := inspect.New(b.store).ScheduleSet().Find(t.Context(), snoozed)
	if err != nil {
		t.Fatal(err)
	}
	if _, counted := e.Job.RetryCount(); counted {
		t.Error("a snooze counted as an attempt")
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	if st, _ := inspect.New(b.store).Stats(t.Context()); st.Processed != 3 || st.Failed != 3 {
		t.Errorf("counted %+v", st)
	}
}

func TestMiddlewareWrapsHandlersOutermostFirst(t *testing.T) {
	b := newBench(t)
	var order ran
	mw := func(name string) worker.Middleware {
		return func(next worker.Handler) worker.Handler {
			return func(ctx context.Context, j *queue.Job) error {
				order.add(name + " in")
				defer order.add(name + " out")
				return next(ctx, j)
			}
		}
	}
	b.mux.Use(mw("outer"), mw("inner"))
	b.handle("Job", func(context.Context) error { order.add("job"); return nil })
	b.run()
	b.push("Job", nil, queue.Options{})
	b.until("ran", func() bool { return len(order.all()) == 5 })
	if got := strings.Join(order.all(), ", "); got != "outer in, inner in, job, "+
		"inner out, outer out" {
		t.Error(got)
	}
}

func TestLifecycleHooksRunAtTheirTurns(t *testing.T) {
	b := newBench(t)
	var order ran
	hook := func(name string) []func(context.Context) error {
		return []func(context.Context) error{
			func(context.Context) error { order.add(name + "1"); return nil },
			func(context.Context) error { order.add(name + "2"); return nil },
		}
	}
	b.config.Hooks = worker.Hooks{Startup: hook("startup"), Heartbeat: hook("beat"),
		Quiet: hook("quiet"), Shutdown: hook("shutdown")}
	b.run()
	b.until("first beat", func() bool { return len(order.all()) == 4 })
	b.stop()
	if got := strings.Join(order.all(), " "); got != "startup1 startup2 beat1 beat2 quiet2 "+
		"quiet1 shutdown2 shutdown1" {
		t.Error(got)
	}
}

func TestAStartupHookThatFailsStopsTheStart(t *testing.T) {
	b := newBench(t)
	b.config.Mux = b.mux
	b.config.Hooks.Startup = []func(context.Context) error{
		func(context.Context) error { return errors.New("no key") }}
	r, err := worker.New(b.store, b.config)
	if err != nil {
		t.Fatal(err)
	}
	b.push("Job", nil, queue.Options{})
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no key") {
		t.Error(err)
	}
	if b.raw.LLen(t.Context(), "queue:a").Val() != 1 {
		t.Error("took a job")
	}
}

func TestTimeoutsCancelAndAreFailures(t *testing.T) {
	b := newBench(t)
	b.handle("Slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		worker.Options{Timeout: 30 * time.Millisecond})
	b.handle("Late", func(ctx context.Context) error { return nil },
		worker.Options{Deadline: time.Nanosecond})
	b.run()
	b.push("Slow", nil, queue.Options{})
	b.push("Late", nil, queue.Options{})
	b.until("failed and dead", func() bool { return b.size("retry") == 1 && b.size("dead") == 1 })
	page, _ := inspect.New(b.store).RetrySet().Page(t.Context(), 0, 1)
	if msg := page[0].Job.String("error_message"); !strings.Contains(msg, "timeout") {
		t.Error(msg)
	}
}

func TestHandlersThatIgnoreTheirEndAreReportedAndTooManyStopTheProcess(t *testing.T) {
	b := newBench(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	b.handle("Hang", func(context.Context) error { <-release; return nil },
		worker.Options{Timeout: 10 * time.Millisecond})
	b.config.MaxStuck, b.config.Timeout, b.config.Grace = 2, 10*time.Millisecond,
		10*time.Millisecond
	r := b.run()
	b.push("Hang", nil, queue.Options{})
	b.until("one is stuck", func() bool { return r.Status().Stuck == 1 })
	if log := b.log.String(); !strings.Contains(log, "stuck:") ||
		!strings.Contains(log, "TestHandlersThatIgnore") {
		t.Error("no stack of the handler in the log")
	}
	b.push("Hang", nil, queue.Options{})
	select {
	case err := <-b.ended:
		b.ended <- err
		if !errors.Is(err, worker.ErrStuck) {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("goes on without threads")
	}
	if n := b.raw.LLen(t.Context(), "queue:a").Val(); n != 2 {
		t.Errorf("%d jobs are back in the queue, want 2", n)
	}
}

func TestStopLetsJobsFinishAndPutsBackTheRestAtTheHead(t *testing.T) {
	b := newBench(t)
	b.config.Timeout = 200 * time.Millisecond
	started := make(chan string, 2)
	causes := make(chan error, 1)
	b.handle("Short", func(ctx context.Context) error {
		started <- "short"
		<-time.After(50 * time.Millisecond)
		return ctx.Err()
	})
	b.handle("Long", func(ctx context.Context) error {
		started <- "long"
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	})
	b.run()
	b.push("Short", nil, queue.Options{})
	long := b.push("Long", nil, queue.Options{Retry: queue.RetryMax(0)})
	payload := func() string { return b.raw.LIndex(t.Context(), "queue:a", -1).Val() }
	<-started
	<-started
	b.runner.Quiet()
	b.until("quiet", func() bool { return b.runner.Status().Quiet })
	b.push("Other", nil, queue.Options{})
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	if err := <-causes; !errors.Is(err, worker.ErrShutdown) {
		t.Errorf("cause %v", err)
	}
	j, err := envelope.ParseJob(payload())
	if err != nil || j.JID != long || b.raw.LLen(t.Context(), "queue:a").Val() != 2 {
		t.Errorf("next to run is %s", payload())
	}
	if _, counted := j.RetryCount(); counted || b.size("dead")+b.size("retry") != 0 {
		t.Error("being interrupted cost a retry")
	}
	if n := b.raw.SCard(t.Context(), "processes").Val(); n != 0 {
		t.Error("still on the web page")
	}
}

func TestRemoteSignalsQuietAndStop(t *testing.T) {
	b := newBench(t)
	b.handle("Job", func(context.Context) error { return nil })
	r := b.run()
	id := r.Status().Identity
	b.until("on the page", func() bool { return b.raw.Exists(t.Context(), id).Val() == 1 })
	if err := inspect.New(b.store).Signal(t.Context(), id, "TSTP"); err != nil {
		t.Fatal(err)
	}
	b.until("quiet", func() bool { return r.Status().Quiet })
	b.push("Job", nil, queue.Options{})
	if err := inspect.New(b.store).Signal(t.Context(), id, "TERM"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-b.ended:
		b.ended <- err
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("did not stop")
	}
	if b.raw.LLen(t.Context(), "queue:a").Val() != 1 {
		t.Error("took a job after it was quiet")
	}
}

func TestPauseHoldsWithinASecondEvenWhereAWorkerSleeps(t *testing.T) {
	b := newBench(t)
	var jobs ran
	b.handle("Job", func(ctx context.Context) error {
		jobs.add(queue.JobFrom(ctx).Queue)
		return nil
	})
	b.run()
	b.push("Job", nil, queue.Options{})
	b.until("ran", func() bool { return len(jobs.all()) == 1 })
	b.store.Pause(t.Context(), "a")
	b.until("heard of it", func() bool { return strings.Contains(b.log.String(), "paused queues") })
	b.until("the bell on it is down", func() bool {
		return !strings.Contains(b.raw.ClientList(t.Context()).Val(), "cmd=blmove") ||
			strings.Count(b.raw.ClientList(t.Context()).Val(), "flags=b") == 1
	})
	b.push("Job", nil, queue.Options{})
	b.push("Job", nil, queue.Options{Queue: "b"})
	b.until("the other queue is served", func() bool { return len(jobs.all()) == 2 })
	if got := jobs.all(); got[1] != "b" || b.raw.LLen(t.Context(), "queue:a").Val() != 1 {
		t.Errorf("ran %v", got)
	}
	b.store.Unpause(t.Context(), "a")
	b.until("served again", func() bool { return len(jobs.all()) == 3 })
}

// take fetches one job of a queue as an owner.
func take(b *bench, o *queue.Owner, name string) ([]*queue.Delivery, error) {
	got, err := o.Fetch(b.Context(), queue.FetchRequest{Queues: []string{name}, Want: 1,
		First: b.store.Tokens(1)})
	return got.Own(), err
}

func TestALostLeaseCancelsJobsAndTheProcessGoesOnUnderANewIdentity(t *testing.T) {
	b := newBench(t)
	causes := make(chan error, 1)
	var first atomic.Bool
	var runs ran
	b.handle("Job", func(ctx context.Context) error {
		runs.add("run")
		if first.CompareAndSwap(false, true) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		}
		return nil
	})
	r := b.run()
	b.push("Job", nil, queue.Options{})
	b.until("running", func() bool { return len(runs.all()) == 1 })
	old := r.Status().Identity
	// Another process finds the lease ended and takes the job away.
	leases, _ := b.store.Leases(t.Context())
	b.raw.ZAdd(t.Context(), "kyu:leases", redis.Z{Score: -float64(time.Now().UnixMilli()),
		Member: leases[0].Identity})
	if _, _, err := b.store.Reclaim(t.Context(), old, "a", queue.Poison{}, 50); err != nil {
		t.Fatal(err)
	}
	if err := <-causes; !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("cause %v", err)
	}
	b.until("ran again", func() bool { return len(runs.all()) == 2 && b.empty() })
	if r.Status().Identity == old {
		t.Error("still the old identity")
	}
	if b.size("retry")+b.size("dead") != 0 {
		t.Error("who lost the lease has settled the job")
	}
	b.until("the stale settle is counted", func() bool { return r.Status().Stale == 1 })
}

func TestADeadProcessIsReclaimedByItsLease(t *testing.T) {
	b := newBench(t)
	b.config.Lease = 2 * time.Second
	b.handle("Job", func(context.Context) error { return nil })
	o := b.store.Owner("elsewhere:1:abc")
	if err := o.Register(t.Context(), queue.Host{Name: "elsewhere", PID: 1}, []string{"x"},
		100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	b.push("Job", nil, queue.Options{Queue: "x"})
	if jobs, err := take(b, o, "x"); err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	b.run() // it does not serve the dead one's queue, but brings the job back to it
	b.until("back in its queue", func() bool {
		return b.raw.LLen(t.Context(), "queue:x").Val() == 1
	})
}

// Every reply that is lost on the way is a job that could be lost, doubled or
// stranded with it.
func TestNothingIsLostOrStrandedWhenAReplyIsLost(t *testing.T) {
	for _, command := range []string{"fetch", "settle", "promote", "beat", "publish", "reclaim",
		"fence", "blmove"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.config.Lease = 2 * time.Second
			proxy := faultproxy.Start(t, b.server.Addr)
			store, err := queue.Open(t.Context(), queue.Config{URL: "redis://" + proxy.Addr})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			var runs ran
			b.handle("Job", func(ctx context.Context) error {
				runs.add(queue.JobFrom(ctx).JID)
				if _, again := queue.JobFrom(ctx).RetryCount(); !again &&
					queue.JobFrom(ctx).String("fails") != "" {
					return queue.RetryIn(time.Millisecond, errors.New("once"))
				}
				return nil
			})
			o := b.store.Owner("gone:1:abc")
			if err := o.Register(t.Context(), queue.Host{}, []string{"a"},
				time.Millisecond); err != nil {
				t.Fatal(err)
			}
			b.push("Job", nil, queue.Options{JID: "reclaimed"})
			if _, err := take(b, o, "a"); err != nil {
				t.Fatal(err)
			}
			b.runOn(store)
			match := command
			if command != "blmove" {
				match = faultproxy.Script(command)
			}
			want := map[string]bool{"reclaimed": true}
			for round := range 5 {
				proxy.DropReply(match, 1+round%2)
				for i := range 4 {
					jid := fmt.Sprintf("%d-%d", round, i)
					want[jid] = true
					b.push("Job", nil, queue.Options{JID: jid})
				}
				want[fmt.Sprint("s", round)] = true
				b.push("Job", nil, queue.Options{JID: fmt.Sprint("s", round),
					At: time.Now().Add(20 * time.Millisecond)})
				b.until("all have run", func() bool {
					for jid := range want {
						if jid != "reclaimed" && !slices.Contains(runs.all(), jid) {
							return false
						}
					}
					return true
				})
			}
			if command != "reclaim" && command != "fence" { // these two happen once, perhaps before
				b.until("a reply was lost: else the test tests nothing",
					func() bool { return proxy.Dropped() > 0 })
			}
			b.until("the reclaimed one has run", func() bool {
				return slices.Contains(runs.all(), "reclaimed")
			})
			b.until("nothing is stranded", b.empty)
			if n := len(runs.all()); n > len(want)+proxy.Dropped()*5 {
				t.Errorf("%d runs of %d jobs for %d lost replies", n, len(want), proxy.Dropped())
			}
			if b.size("retry")+b.size("dead") != 0 {
				t.Error("a job failed because Redis did")
			}
		})
	}
}

func TestAnOutageIsLoggedOnceDownAndOnceUpAndJobsGoOn(t *testing.T) {
	b := newBench(t)
	var runs ran
	b.handle("Job", func(ctx context.Context) error { runs.add("run"); return nil })
	b.run()
	b.push("Job", nil, queue.Options{})
	b.until("ran", func() bool { return len(runs.all()) == 1 })
	b.server.Kill()
	b.until("noticed", func() bool { return strings.Contains(b.log.String(), "does not serve us") })
	b.server.Restart()
	b.until("serves again", func() bool {
		return strings.Contains(b.log.String(), "serves us again")
	})
	b.until("pushed", func() bool {
		_, err := b.client.Push(t.Context(), "Job", nil, queue.Options{Queue: "a"})
		return err == nil
	})
	b.until("ran again", func() bool { return len(runs.all()) >= 2 })
	if n := strings.Count(b.log.String(), "does not serve us"); n > 2 {
		t.Errorf("the outage was logged %d times", n)
	}
}

func TestAnIdleJobCostsTwoCommandsAndWakesOneProcess(t *testing.T) {
	b := newBench(t)
	const jobs = 50
	var runs ran
	b.handle("Job", func(context.Context) error { runs.add("run"); return nil })
	b.config.Capsules[0].Queues = []worker.QueueWeight{{Name: "a"}}
	for range 5 {
		b.run()
	}
	b.until("all sleep", func() bool {
		return strings.Count(b.raw.ClientList(t.Context()).Val(), "cmd=blmove") == 5
	})
	before := b.calls("blmove")
	for i := range jobs {
		b.push("Job", nil, queue.Options{})
		b.until("ran", func() bool { return len(runs.all()) == i+1 })
	}
	// one per job, and those that timed out meanwhile
	if n := b.calls("blmove") - before; n > jobs*3/2+10 {
		t.Errorf("%d BLMOVE for %d jobs: more than one process wakes", n, jobs)
	}
}

// Two fetches that are under way when the queue runs dry each came back while the
// other was out, and went again, for ever. And a bell took longer to ring than a
// backlog was given to show, so that a burst was taken one by one.
func TestABurstOverASlowNetworkIsTakenInBatchesAndThenTheWorkerSleeps(t *testing.T) {
	b := newBench(t)
	b.config.Capsules[0] = worker.Capsule{Name: "wide", Concurrency: 100,
		Queues: []worker.QueueWeight{{Name: "a"}}}
	worker.Handle(b.mux, "Job", func(_ context.Context, ms int) error {
		<-time.After(time.Duration(ms) * time.Millisecond)
		return nil
	})
	proxy := faultproxy.Start(t, b.server.Addr)
	proxy.Delay(2 * time.Millisecond)
	b.runOn(b.server.Store(func(c *queue.Config) { c.URL = "redis://" + proxy.Addr }))
	const bursts, jobs = 5, 1000
	args := make([][]any, jobs)
	for i := range args {
		args[i] = []any{i * 7 % 8}
	}
	before := b.calls("blmove")
	for range bursts {
		if _, err := b.client.PushBulk(t.Context(), "Job", args,
			queue.Options{Queue: "a"}); err != nil {
			t.Fatal(err)
		}
		b.until("sleeps", func() bool {
			return strings.Contains(b.raw.ClientList(t.Context()).Val(), "flags=b") && b.empty()
		})
	}
	if n := b.calls("blmove") - before; n > bursts*jobs/10 {
		t.Errorf("%d of %d jobs were taken one by one", n, bursts*jobs)
	}
}

func TestAFullRedisIsPolledCalmly(t *testing.T) {
	b := newBench(t)
	var runs ran
	b.handle("Job", func(context.Context) error { runs.add("run"); return nil })
	b.run()
	b.until("sleeps", func() bool {
		return strings.Count(b.raw.ClientList(t.Context()).Val(), "cmd=blmove") == 2
	})
	b.raw.ConfigSet(t.Context(), "maxmemory-policy", "noeviction")
	b.raw.ConfigSet(t.Context(), "maxmemory", "1")
	b.until("bells are refused", func() bool {
		return strings.Contains(b.log.String(), "over its maxmemory")
	})
	<-time.After(2 * time.Second)
	if n := strings.Count(b.log.String(), "\n"); n > 3 {
		t.Errorf("%d lines in the log", n)
	}
	b.raw.ConfigSet(t.Context(), "maxmemory", "0")
	start := time.Now()
	b.push("Job", nil, queue.Options{})
	b.until("ran", func() bool { return len(runs.all()) == 1 })
	if took := time.Since(start); took > time.Second {
		t.Errorf("started after %v", took)
	}
	b.until("bells hang again", func() bool {
		return strings.Count(b.raw.ClientList(t.Context()).Val(), "cmd=blmove") == 2
	})
}

// Both bells ring for what comes in one moment, the lower one while the higher
// queue still holds jobs.
func TestABellOnALowerQueueDoesNotJumpTheHigherOne(t *testing.T) {
	b := newBench(t)
	var starts ran
	b.handle("Job", func(ctx context.Context) error {
		starts.add(queue.JobFrom(ctx).JID)
		<-time.After(5 * time.Millisecond)
		return nil
	})
	b.config.Capsules[0].Concurrency = 2
	b.run()
	payload := func(q string, i int) string {
		return fmt.Sprintf(`{"class":"Job","args":[],"queue":%q,"jid":"%s%d"}`, q, q, i)
	}
	for round := range 5 {
		b.until("both bells hang", func() bool {
			return strings.Count(b.raw.ClientList(t.Context()).Val(), "cmd=blmove") == 2
		})
		_, err := b.raw.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			p.LPush(t.Context(), "queue:b", payload("b", round))
			for i := range 4 {
				p.LPush(t.Context(), "queue:a", payload("a", i))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.until("all have run", func() bool { return len(starts.all()) == 5*(round+1) })
		if got := starts.all()[5*round:]; !strings.HasPrefix(got[4], "b") &&
			!strings.HasPrefix(got[3], "b") {
			t.Fatalf("round %d: started in the order %v", round, got)
		}
	}
}

func TestAPoisonedJobsDeathIsTold(t *testing.T) {
	b := newBench(t)
	var deaths ran
	b.config.DeathHandlers = []worker.DeathHandler{
		func(_ context.Context, j *queue.Job, err error) { deaths.add(j.JID + err.Error()) },
	}
	b.config.Poison = queue.Poison{Times: 1, Within: time.Hour}
	o := b.store.Owner("gone:1:abc")
	if err := o.Register(t.Context(), queue.Host{}, []string{"a"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	jid := b.push("Job", nil, queue.Options{})
	if _, err := take(b, o, "a"); err != nil {
		t.Fatal(err)
	}
	// a peer finds it dead
	b.raw.ZAdd(t.Context(), "kyu:leases", redis.Z{Score: -1, Member: "gone:1:abc"})
	b.run()
	b.until("dead", func() bool { return b.size("dead") == 1 && len(deaths.all()) == 1 })
	if got := deaths.all()[0]; !strings.HasPrefix(got, jid+"1 workers died") {
		t.Error(got)
	}
}

func TestAConfigurationIsRefusedWithAllItsProblems(t *testing.T) {
	_, err := worker.New(nil, worker.Config{Lease: time.Millisecond, Capsules: []worker.Capsule{
		{Concurrency: 0, Queues: []worker.QueueWeight{{Name: "a\nb"}}}, {Concurrency: 1}}})
	for _, want := range []string{"no Mux", "concurrency 0", `queue "a\nb"`, "no queues",
		"is there twice", "lease"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in: %v", want, err)
		}
	}
}
