package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a Redis with an owner that holds a lease.
type fixture struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
	client *queue.Client
	owner  *queue.Owner
}

func newFixture(t *testing.T, args ...string) *fixture {
	s := redistest.Start(t, args...)
	f := &fixture{T: t, server: s, raw: s.Client(), store: s.Store()}
	f.client = queue.NewClient(f.store)
	f.owner = f.newOwner("h:1:a")
	return f
}

func (f *fixture) newOwner(id string) *queue.Owner {
	f.Helper()
	o := f.store.Owner(id)
	if err := o.Register(f.Context(), queue.Host{Name: "h", PID: 1}, []string{"a", "b", "c"},
		time.Minute); err != nil {
		f.Fatal(err)
	}
	return o
}

// push puts n jobs into a queue; their first argument counts from 0.
func (f *fixture) push(q string, n int) {
	f.Helper()
	for i := range n {
		if _, err := f.client.Push(f.Context(), "Job", []any{i},
			queue.Options{Queue: q, JID: fmt.Sprintf("%s%d", q, i)}); err != nil {
			f.Fatal(err)
		}
	}
}

// take fetches as o, and counts the acknowledgements of what was taken from it.
func take(ctx context.Context, s *queue.Store, o *queue.Owner, queues []string, want int,
	draws []string, done []*queue.Delivery) (jobs []*queue.Delivery, stale int, err error) {
	got, err := o.Fetch(ctx, queue.FetchRequest{Queues: queues, Want: want, First: s.Tokens(want),
		Draws: draws, Done: done})
	return got.Own(), len(done) - got.Acked, err
}

// settleOne settles one delivery, and reports whether it was in its owner's hands.
func settleOne(ctx context.Context, s *queue.Store, x queue.Settlement) (bool, error) {
	results, err := s.Settle(ctx, []queue.Settlement{x})
	return err == nil && results[0] == queue.Settled, err
}

func (f *fixture) fetch(want int, done ...*queue.Delivery) []*queue.Delivery {
	f.Helper()
	jobs, stale, err := take(f.Context(), f.store, f.owner, abc, want, nil, done)
	if err != nil || stale != 0 {
		f.Fatalf("fetch: %v, %d stale", err, stale)
	}
	return jobs
}

func (f *fixture) settle(d *queue.Delivery, a queue.Action, payload string) bool {
	f.Helper()
	settled, err := settleOne(f.Context(), f.store, queue.Settlement{Delivery: d, Action: a,
		Payload: payload, At: time.Unix(2e9, 0), To: "b"})
	if err != nil {
		f.Fatal(err)
	}
	return settled
}

func (f *fixture) at(want string) {
	f.Helper()
	if got := redistest.Places(f.Context(), f.raw); got != want {
		f.Errorf("jobs are at %q, want %q", got, want)
	}
}

func jids(f *fixture, jobs []*queue.Delivery) string {
	f.Helper()
	var out []string
	for _, d := range jobs {
		j, err := envelope.ParseJob(d.Raw)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, j.JID)
	}
	return strings.Join(out, " ")
}

func TestFetchTakesHigherQueuesFirstAndEachInOrder(t *testing.T) {
	f := newFixture(t)
	f.push("c", 2)
	f.push("b", 2)
	f.push("a", 2)
	if got := jids(f, f.fetch(3)); got != "a0 a1 b0" {
		t.Errorf("took %s", got)
	}
	f.at("queue:b=1 queue:c=2 inflight=3")
	if got := jids(f, f.fetch(10)); got != "b1 c0 c1" {
		t.Errorf("then took %s", got)
	}
}

func TestFetchAcknowledgesAndTakesInOneTrip(t *testing.T) {
	f := newFixture(t)
	f.push("a", 3)
	first := f.fetch(2)
	f.fetch(2, first...)
	f.at("inflight=1")
}

func TestWeightedFetchFollowsItsDraws(t *testing.T) {
	f := newFixture(t)
	f.push("a", 2)
	f.push("b", 1)
	jobs, _, err := take(t.Context(), f.store, f.owner, []string{"a", "b"}, 4,
		[]string{"\x02\x01", "\x02\x01", "\x01\x02", "\x01\x02"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := jids(f, jobs); got != "b0 a0 a1" {
		t.Errorf("took %s, want b first, then a when b is empty", got)
	}
}

func TestPausedQueuesAreLeftAlone(t *testing.T) {
	f := newFixture(t)
	f.push("a", 1)
	f.push("b", 1)
	f.store.Pause(t.Context(), "a")
	if got := jids(f, f.fetch(5)); got != "b0" {
		t.Errorf("took %s", got)
	}
	f.store.Unpause(t.Context(), "a")
	if got := jids(f, f.fetch(5)); got != "a0" {
		t.Errorf("unpaused, took %s", got)
	}
}

func TestFetchWithoutALeaseTakesNothingButSettles(t *testing.T) {
	f := newFixture(t)
	f.push("a", 2)
	done := f.fetch(1)
	f.raw.ZAdd(t.Context(), "kyu:leases", redis.Z{Score: -1, Member: "h:1:a"})
	_, stale, err := take(t.Context(), f.store, f.owner, []string{"a"}, 1, nil, done)
	if stale != 0 {
		t.Errorf("%d were not acknowledged", stale)
	}
	if !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("err = %v, want ErrLeaseLost", err)
	}
	f.at("queue:a=1")
}

func TestSettleMovesAJobToExactlyOnePlace(t *testing.T) {
	for action, want := range map[queue.Action]string{
		queue.Done: "", queue.Retry: "retry=1", queue.Schedule: "schedule=1", queue.Dead: "dead=1",
		queue.Requeue: "queue:a=1", queue.Forward: "queue:b=1", queue.Hold: "kyu:hold:b=1",
	} {
		t.Run(string(action), func(t *testing.T) {
			f := newFixture(t)
			f.push("a", 1)
			d := f.fetch(1)[0]
			if !f.settle(d, action, d.Raw) {
				t.Error("not settled")
			}
			f.at(want)
			if f.settle(d, action, d.Raw) {
				t.Error("settled twice")
			}
			f.at(want) // the second time nothing moves: the removal decides
		})
	}
}

func TestRequeuePutsAJobBackWhereItIsTakenNext(t *testing.T) {
	f := newFixture(t)
	f.push("a", 3)
	first := f.fetch(2)
	f.raw.SRem(t.Context(), "queues", "a")
	f.settle(first[1], queue.Requeue, "")
	f.settle(first[0], queue.Requeue, "")
	if got := jids(f, f.fetch(3)); got != "a0 a1 a2" {
		t.Errorf("order is %s", got)
	}
	if !f.raw.SIsMember(t.Context(), "queues", "a").Val() {
		t.Error("the queue is not in the set of queues again")
	}
}

// adopt fetches up to want jobs, and puts back before what landed.
func (f *fixture) adopt(want int) []*queue.Delivery {
	f.Helper()
	got, err := f.owner.Fetch(f.Context(), queue.FetchRequest{Queues: abc, Want: want,
		First: f.store.Tokens(want), Adopt: []int{0, 1, 2}})
	if err != nil {
		f.Fatal(err)
	}
	return got.Own()
}

func TestALandedJobWaitsUntilAFetchAdoptsIt(t *testing.T) {
	f := newFixture(t)
	f.push("b", 1)
	f.raw.LMove(t.Context(), "queue:b", "kyu:{queue:b}:landing:h:1:a", "RIGHT", "LEFT")
	f.at("inflight=1")
	f.push("a", 1)
	f.push("b", 1)
	if got := jids(f, f.adopt(1)); got != "a0" {
		t.Errorf("took %s: what landed from a lower queue must wait", got)
	}
	f.at("queue:b=2 inflight=1")
	if got := jids(f, f.fetch(5)); got != "b0 b0" { // both were pushed as the first of b
		t.Errorf("then took %s", got)
	}
}

func TestAFencedOwnerAdoptsNothing(t *testing.T) {
	f := newFixture(t)
	f.push("a", 1)
	f.raw.LMove(t.Context(), "queue:a", "kyu:{queue:a}:landing:h:1:a", "RIGHT", "LEFT")
	f.raw.ZAdd(t.Context(), "kyu:leases", redis.Z{Score: -1, Member: "h:1:a"})
	_, err := f.owner.Fetch(t.Context(), queue.FetchRequest{Queues: abc, Want: 1,
		First: f.store.Tokens(1), Adopt: []int{0}})
	if !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("err = %v, want ErrLeaseLost", err)
	}
	f.at("inflight=1") // a reclaimer takes it
	got, _, err := f.store.Reclaim(t.Context(), "h:1:a", "a",
		queue.Poison{Times: 1, Within: time.Hour}, 50)
	if err != nil || got.Landed != 1 {
		t.Errorf("reclaimed %+v, %v", got, err)
	}
	if raw := f.raw.LIndex(t.Context(), "queue:a", 0).Val(); strings.Contains(raw, "crashes") {
		t.Errorf("a job that nobody had counts a crash: %s", raw)
	}
}

func TestAuditFindsWhatTheOwnerDoesNotKnow(t *testing.T) {
	f := newFixture(t)
	f.push("a", 3)
	known := f.fetch(3)
	f.push("b", 1)
	f.raw.LMove(t.Context(), "queue:b", "kyu:{queue:b}:landing:h:1:a", "RIGHT", "LEFT")
	held, landed, err := f.owner.Held(t.Context(), abc)
	if err != nil || len(held) != 3 || !slices.Equal(landed, []int{1}) {
		t.Fatalf("held %v, landed %v, %v", held, landed, err)
	}
	for _, d := range held {
		if d.Token == known[2].Token && !f.settle(d, queue.Requeue, "") { // without its bytes
			t.Error("not put back")
		}
	}
	f.at("queue:a=1 inflight=3")
}

func TestALeaseThatWasFencedCannotBeExtended(t *testing.T) {
	f := newFixture(t)
	leases, _ := f.store.Leases(t.Context())
	if len(leases) != 1 || leases[0].Ended || leases[0].Fenced {
		t.Fatalf("leases = %+v", leases)
	}
	if _, err := f.owner.Beat(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if ok, _ := f.store.Fence(t.Context(), leases[0]); ok {
		t.Error("fenced an owner that has beaten since its lease was read")
	}
	leases, _ = f.store.Leases(t.Context())
	if ok, err := f.store.Fence(t.Context(), leases[0]); !ok {
		t.Error("not fenced", err)
	}
	if _, err := f.owner.Beat(t.Context(), time.Hour); !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("beat after the fence: %v", err)
	}
}

func TestSignalsAreToldOnceInOrder(t *testing.T) {
	f := newFixture(t)
	f.raw.LPush(t.Context(), "h:1:a-signals", "TSTP")
	f.raw.LPush(t.Context(), "h:1:a-signals", "TERM")
	f.store.Pause(t.Context(), "b")
	o, err := f.owner.Beat(t.Context(), time.Minute)
	if err != nil || !slices.Equal(o.Signals, []string{"TSTP", "TERM"}) ||
		!slices.Equal(o.Paused, []string{"b"}) {
		t.Errorf("orders %+v, %v", o, err)
	}
	if o, _ = f.owner.Beat(t.Context(), time.Minute); len(o.Signals) != 0 {
		t.Errorf("told again: %v", o.Signals)
	}
}

func TestReclaimGivesJobsBackInOrderAndForeignSettlesNothing(t *testing.T) {
	f := newFixture(t)
	f.push("a", 5)
	held := f.fetch(3)
	got, more, err := f.store.Reclaim(t.Context(), "h:1:a", "a",
		queue.Poison{Times: 3, Within: time.Hour}, 50)
	if err != nil || more || got.Requeued != 3 {
		t.Fatalf("%+v %v %v", got, more, err)
	}
	f.at("queue:a=5")
	if f.settle(held[0], queue.Retry, held[0].Raw) {
		t.Error("an owner settled what was taken from it")
	}
	f.at("queue:a=5")
	f.owner = f.newOwner("h:2:b")
	if got := jids(f, f.fetch(5)); got != "a0 a1 a2 a3 a4" {
		t.Errorf("order is %s", got)
	}
}

// crash lets an owner fetch n jobs and die with them, and gives what became of them.
func (f *fixture) crash(identity string, n int) queue.Reclaimed {
	f.Helper()
	f.owner = f.newOwner(identity)
	jobs := f.fetch(n)
	if len(jobs) != n {
		f.Fatalf("%d jobs in its hands, want %d", len(jobs), n)
	}
	if n == 1 {
		if err := f.owner.Alone(f.Context(), jobs[0]); err != nil {
			f.Fatal(err)
		}
	}
	for _, d := range jobs {
		if err := f.owner.Beside(f.Context(), d); n > 1 && err != nil {
			f.Fatal(err)
		}
	}
	leases, err := f.store.Leases(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range leases {
		if l.Identity == identity {
			if ok, err := f.store.Fence(f.Context(), l); !ok {
				f.Fatal("not fenced: ", err)
			}
		}
	}
	got, _, err := f.store.Reclaim(f.Context(), identity, "a",
		queue.Poison{Times: 3, Within: time.Hour}, 50)
	if err != nil {
		f.Fatal(err)
	}
	return got
}

func TestAJobThatKeepsComingBackIsPoison(t *testing.T) {
	f := newFixture(t)
	f.push("a", 1)
	for i := 1; i <= 3; i++ {
		if got := f.crash(fmt.Sprint("h:2:", i), 1); (len(got.Poisoned) == 1) != (i == 3) {
			t.Errorf("time %d: %+v", i, got)
		}
	}
	f.at("dead=1")
	page, _ := inspect.New(f.store).DeadSet().Page(t.Context(), 0, 1)
	if msg := page[0].Job.String("error_message"); !strings.Contains(msg, "3 workers died") {
		t.Errorf("reason %q", msg)
	}
	if _, counted := page[0].Job.RetryCount(); counted {
		t.Error("a crash cost a retry")
	}
}

func TestAJobThatWasNeverAloneInItsOwnersHandsIsNotPoisonSoSoon(t *testing.T) {
	f := newFixture(t)
	f.push("a", 2)
	for i := 1; i <= 8; i++ {
		if got := f.crash(fmt.Sprint("h:2:", i), 2); len(got.Poisoned) > 0 {
			t.Errorf("time %d: %+v", i, got)
		}
	}
	f.at("queue:a=2")
	// whatever it is, it does not end by itself
	if got := f.crash("h:2:9", 2); len(got.Poisoned) != 2 {
		t.Errorf("the ninth time: %+v", got)
	}
}

func TestAnIdentityIsForgottenOnlyWhenItHoldsNothingAndIsLongDead(t *testing.T) {
	f := newFixture(t)
	f.push("a", 1)
	f.fetch(1)
	if err := f.owner.Leave(t.Context(), queue.Host{}, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	forget := func(grace time.Duration) bool {
		ok, err := f.store.Forget(t.Context(), "h:1:a", queue.Host{}, []string{"a"}, grace)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if forget(0) {
		t.Error("forgotten with a job in its hands")
	}
	f.store.Reclaim(t.Context(), "h:1:a", "a", queue.Poison{}, 50)
	if forget(time.Hour) {
		t.Error("forgotten before its grace was over")
	}
	if !forget(0) {
		t.Error("not forgotten")
	}
	if n := f.raw.Exists(t.Context(), "kyu:leases", "kyu:owner:h:1:a").Val(); n != 0 {
		t.Error("left something behind")
	}
}

func TestPromoteMovesDueJobsAndKeepsTheRest(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	f.raw.ZAdd(t.Context(), "retry",
		redis.Z{Score: 1, Member: `{"class":"A","queue":"a","jid":"x","at":5,"n":1.0,` +
			`"created_at":1795345820974}`},
		redis.Z{Score: 2, Member: `no job`},
		redis.Z{Score: float64(now.Unix() + 60), Member: `{"class":"A","queue":"a","jid":"later"}`})
	moved, due, err := f.store.Promote(t.Context(), "retry", now, 100)
	if err != nil || moved != 2 || due != 2 {
		t.Fatalf("moved %d of %d, %v", moved, due, err)
	}
	f.at("dead=1 queue:a=1 retry=1")
	want := fmt.Sprintf(`{"class":"A","queue":"a","jid":"x","n":1.0,"created_at":1795345820974,`+
		`"retry":true,"enqueued_at":%d}`, now.UnixMilli())
	if got := f.raw.LIndex(t.Context(), "queue:a", 0).Val(); got != want {
		t.Errorf("payload %s\nwant    %s", got, want)
	}
	if got := f.raw.ZRange(t.Context(), "dead", 0, -1).Val(); got[0] != "no job" {
		t.Errorf("dead holds %q", got)
	}
}

func TestTheDeadSetKeepsOneLessThanItsLimitAsSidekiqDoes(t *testing.T) {
	f := newFixture(t)
	f.store.SetDeadLimits(5, time.Hour)
	f.push("a", 8)
	for i, d := range f.fetch(8) {
		_, err := f.store.Settle(t.Context(), []queue.Settlement{{Delivery: d, Action: queue.Dead,
			Payload: d.Raw, At: time.Now().Add(time.Duration(i) * time.Millisecond)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	f.at("dead=4")
	f.raw.ZAdd(t.Context(), "dead", redis.Z{Score: float64(time.Now().Add(-2 * time.Hour).Unix()),
		Member: "old"})
	f.push("a", 1)
	f.settle(f.fetch(1)[0], queue.Dead, "new")
	if f.raw.ZScore(t.Context(), "dead", "old").Err() != redis.Nil {
		t.Error("an entry that is too old is still there")
	}
}

func TestAFullRedisIsDrainedButTakesNoPush(t *testing.T) {
	f := newFixture(t, "--maxmemory-policy", "noeviction")
	f.push("a", 10)
	f.raw.ConfigSet(t.Context(), "maxmemory", "1")
	_, err := f.client.Push(t.Context(), "Job", nil, queue.Options{})
	if err == nil || errors.Is(err, queue.ErrUnknown) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("push: %v, want a refusal", err)
	}
	jobs := f.fetch(10)
	if len(jobs) != 10 {
		t.Fatalf("fetched %d", len(jobs))
	}
	for i, a := range []queue.Action{queue.Retry, queue.Dead, queue.Requeue, queue.Schedule,
		queue.Done} {
		if !f.settle(jobs[i], a, jobs[i].Raw) {
			t.Errorf("%s was not settled", a)
		}
	}
	if _, err := f.owner.Beat(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
}

func TestEveryScriptSurvivesScriptFlush(t *testing.T) {
	f := newFixture(t)
	for range 3 {
		f.raw.ScriptFlush(t.Context())
		f.push("a", 1)
		f.settle(f.fetch(1)[0], queue.Done, "")
	}
	f.at("")
}

func TestPublishCountsARepeatedFlushOnce(t *testing.T) {
	f := newFixture(t)
	r := queue.ProcessRecord{Identity: "h:1:a", StartedAt: time.Now()}
	for range 2 {
		if _, err := f.owner.Publish(t.Context(), r,
			queue.Counts{Flush: 1, Processed: 5, Failed: 2}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	st, _ := inspect.New(f.store).Stats(t.Context())
	if st.Processed != 5 || st.Failed != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestScriptHeadersSayWhatTheScriptsDo(t *testing.T) {
	files, _ := filepath.Glob("lua/*.lua")
	if len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, path := range files {
		b, _ := os.ReadFile(path)
		text := string(b)
		for _, part := range []string{"-- KEYS ", "-- ARGV ", "-- Result ", "-- Atomic ", "#!lua"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q", path, part)
			}
		}
		if regexp.MustCompile(`cjson|cmsgpack|loadstring`).MatchString(text) {
			t.Errorf("%s: payloads are opaque in Lua", path)
		}
	}
}
