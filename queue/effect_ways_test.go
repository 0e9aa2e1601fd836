package queue_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// notes is a capability that writes down which jobs left, and how. A job says in its field
// note how it takes part: not at all, "yes", or in a way that goes wrong.
var notes = queue.Capability{Kind: "note", Lua: "redis.call('RPUSH', keys[1], args[1])",
	Effects: func(j *queue.Job, event queue.EffectEvent) []queue.Effect {
		key := map[string]string{"yes": "kyu:notes", "wrong type": "kyu:text",
			"forbidden": "secret"}
		switch note := j.String("note"); note {
		case "":
			return nil
		case "panics":
			panic("no good")
		default:
			args := []string{j.JID + " " + string(event)}
			return []queue.Effect{{Kind: "note", Keys: []string{key[note]}, Args: args}}
		}
	}}

// noted is a fixture whose Store has that capability.
func noted(t *testing.T) *fixture {
	f := newFixture(t)
	f.store = f.server.Store(func(c *queue.Config) { c.Capabilities = []queue.Capability{notes} })
	f.owner = f.newOwner("h:1:b")
	f.raw.Set(t.Context(), "kyu:text", "x", 0)
	return f
}

func note(jid, how string) string {
	return fmt.Sprintf(`{"class":"J","jid":%q,"queue":"a","args":[],"note":%q}`, jid, how)
}

// put adds jobs to a place: queue:a or a set.
func (f *fixture) put(place string, payloads ...string) {
	for i, p := range payloads {
		if strings.HasPrefix(place, "queue:") {
			f.raw.LPush(f.Context(), place, p)
			f.raw.SAdd(f.Context(), "queues", strings.TrimPrefix(place, "queue:"))
		} else {
			f.raw.ZAdd(f.Context(), place, redis.Z{Score: float64(2e9 + i), Member: p})
		}
	}
}

// written checks what was written down since the last call.
func (f *fixture) written(want ...string) {
	f.Helper()
	if got := f.raw.LRange(f.Context(), "kyu:notes", 0, -1).Val(); !slices.Equal(got, want) {
		f.Errorf("written down: %q, want %q", got, want)
	}
	f.raw.Del(f.Context(), "kyu:notes")
}

// settlement is what a worker hands over.
func (f *fixture) settlement(d *queue.Delivery, a queue.Action,
	e queue.EffectEvent) queue.Settlement {
	f.Helper()
	j, err := envelope.ParseJob(d.Raw)
	if err != nil {
		f.Fatal(err)
	}
	list, err := f.store.Effects(j, e)
	if err != nil {
		f.Fatal(err)
	}
	return queue.Settlement{Delivery: d, Action: a, Payload: d.Raw, At: time.Unix(2e9, 0), To: "b",
		Effects: list}
}

func TestEffectsOfASettlementRunOnceIfItIsSettled(t *testing.T) {
	f := noted(t)
	for event, action := range map[queue.EffectEvent]queue.Action{
		queue.EventDone: queue.Done, queue.EventDiscard: queue.Done, queue.EventExpire: queue.Done,
		queue.EventRetry: queue.Retry, queue.EventSnooze: queue.Schedule,
		queue.EventDead: queue.Dead, queue.EventRequeue: queue.Requeue,
		queue.EventForward: queue.Forward, queue.EventHold: queue.Hold,
	} {
		f.put("queue:c", note("x", "yes"), note("without", ""))
		jobs, _, err := take(t.Context(), f.store, f.owner, []string{"c"}, 2, nil, nil)
		if err != nil || len(jobs) != 2 {
			t.Fatal(jobs, err)
		}
		batch := []queue.Settlement{f.settlement(jobs[0], action, event),
			f.settlement(jobs[1], queue.Done, queue.EventDone)}
		for i, want := range []string{"[1 1]", "[0 0]"} { // again, as after a lost reply
			results, err := f.store.Settle(t.Context(), batch)
			if got := fmt.Sprint(results); got != want || err != nil {
				t.Errorf("%s, time %d: %v %v", event, i+1, got, err)
			}
		}
		f.written("x " + string(event))
		f.raw.Del(t.Context(), "queue:c")
	}
	f.put("queue:a", note("x", "yes"))
	x := f.settlement(f.fetch(1)[0], queue.Retry, queue.EventRetry)
	f.raw.Del(t.Context(), "retry")
	f.raw.Set(t.Context(), "retry", "a wrong type", 0)
	results, err := f.store.Settle(t.Context(), []queue.Settlement{x})
	if err != nil || results[0] != queue.Refused {
		t.Error(results, err)
	}
	f.written()
}

func TestEffectsThatFailOrAreForbiddenHoldNoJobUp(t *testing.T) {
	f := noted(t)
	f.put("queue:a", note("1", "wrong type"), note("2", "yes"), note("3", "forbidden"))
	jobs := f.fetch(3)
	var batch []queue.Settlement
	for _, d := range jobs {
		batch = append(batch, f.settlement(d, queue.Done, queue.EventDone))
	}
	if _, err := f.store.Settle(t.Context(), batch); !redisdb.Rejected(err) {
		t.Fatal(err) // a settler halves it then
	}
	f.written()
	results, err := f.store.Settle(t.Context(), batch[:2])
	why := batch[0].Failed
	if fmt.Sprint(results) != "[2 1]" || err != nil || !strings.Contains(why, "WRONGTYPE") {
		t.Error(results, err, why)
	}
	results, err = f.store.Settle(t.Context(), batch[2:])
	why = batch[2].Failed
	if fmt.Sprint(results) != "[2]" || err != nil || !strings.Contains(why, "NOPERM") {
		t.Error(results, err, why)
	}
	if results, err = f.store.Settle(t.Context(), batch[2:]); fmt.Sprint(results) != "[0]" {
		t.Error(results, err)
	}
	f.written("2 done")
	f.at("")
}

// reclaim reclaims queue a of an owner, once it is fenced.
func (f *fixture) reclaim(o *queue.Owner, p queue.Poison) queue.Reclaimed {
	f.Helper()
	leases, _ := f.store.Leases(f.Context())
	for _, l := range leases {
		if l.Identity == o.Identity {
			f.store.Fence(f.Context(), l)
		}
	}
	got, more, err := f.store.Reclaim(f.Context(), o.Identity, "a", p, 50)
	for err == nil && more {
		var next queue.Reclaimed
		next, more, err = f.store.Reclaim(f.Context(), o.Identity, "a", p, 50)
		got.Requeued += next.Requeued
		got.Failed = append(got.Failed, next.Failed...)
	}
	if err != nil {
		f.Fatal(err)
	}
	return got
}

func TestEffectsOfReclaimedJobsRunOnceIfTheyAreTaken(t *testing.T) {
	f := noted(t)
	f.put("queue:a", note("1", "yes"), note("2", ""), note("3", "yes"))
	f.fetch(3)
	f.reclaim(f.owner, queue.Poison{Times: 9, Within: time.Hour})
	f.written("3 reclaim", "1 reclaim")
	f.reclaim(f.owner, queue.Poison{Times: 9, Within: time.Hour})
	f.written()

	f.owner = f.newOwner("h:1:c")
	for _, d := range f.fetch(3)[1:] {
		f.settle(d, queue.Done, "")
	}
	got := f.reclaim(f.owner, queue.Poison{Times: 1, Within: time.Hour})
	if len(got.Poisoned) != 1 {
		t.Errorf("%+v", got)
	}
	f.written("1 poison")

	f.owner = f.newOwner("h:1:d")
	f.put("queue:a", note("1", "yes"), note("2", "wrong type"), note("3", "forbidden"),
		note("4", "panics"), note("5", "yes"))
	f.fetch(5)
	got = f.reclaim(f.owner, queue.Poison{})
	if why := fmt.Sprint(got.Failed); got.Requeued != 5 || len(got.Failed) != 3 ||
		!strings.Contains(why, "WRONGTYPE") || !strings.Contains(why, "NOPERM") ||
		!strings.Contains(why, "panicked: no good") {
		t.Errorf("%+v", got)
	}
	f.written("5 reclaim", "1 reclaim")
	f.owner = f.newOwner("h:1:e")
	var order []string
	for _, d := range f.fetch(5) {
		j, _ := envelope.ParseJob(d.Raw)
		order = append(order, j.JID)
	}
	if fmt.Sprint(order) != "[1 2 3 4 5]" {
		t.Error("their order has changed:", order)
	}
}

func TestEffectsOfWhatAPersonRemovesRunOnceIfItWasThere(t *testing.T) {
	f := noted(t)
	ctx := t.Context()
	for name, set := range map[string]*inspect.JobSet{"retry": inspect.New(f.store).RetrySet(),
		"schedule": inspect.New(f.store).ScheduleSet(), "dead": inspect.New(f.store).DeadSet(),
		"kyu:hold:J": inspect.New(f.store).HoldSet("J")} {
		f.put(name, note("1", "yes"), note("2", ""), note("3", "yes"), "no job")
		list, err := set.Page(ctx, 0, 10)
		if err != nil || len(list) != 4 {
			t.Fatal(list, err)
		}
		slices.SortFunc(list, func(a, b queue.Entry) int { return strings.Compare(a.Raw, b.Raw) })
		f.raw.ZRem(ctx, name, note("3", "yes")) // a poller was quicker
		if n, err := set.Delete(ctx, list...); n != 3 || err != nil {
			t.Error(name, n, err)
		}
		f.written("1 delete")
		if n, err := set.Delete(ctx, list...); n != 0 || err != nil {
			t.Error(name, n, err)
		}
		f.put(name, note("1", "yes"), note("2", ""), "no job")
		if name != "dead" {
			list, _ = set.Page(ctx, 0, 10)
			n, err := set.Kill(ctx, list...)
			if n != 3 || err != nil || f.raw.ZCard(ctx, "dead").Val() != 3 {
				t.Error(name, n, err)
			}
			f.written("1 dead")
			f.raw.Del(ctx, "dead")
		}
	}
	f.raw.Del(ctx, "dead")
	f.put("retry", note("1", "yes"))
	f.raw.Set(ctx, "dead", "a wrong type", 0)
	list, _ := inspect.New(f.store).RetrySet().Page(ctx, 0, 1)
	var refused *queue.WrongTypeError
	if n, err := f.store.RetrySet().Kill(ctx, list...); n != 0 || !errors.As(err, &refused) {
		t.Error(n, err)
	}
	f.written()
	f.at("dead=0 retry=1")
}

func TestEffectsOfWhatAPersonClearsRunOnce(t *testing.T) {
	f := noted(t)
	ctx := t.Context()
	var many, want []string
	for i := range 150 {
		many = append(many, note(fmt.Sprint("j", i), "yes"))
		want = append(want, fmt.Sprint("j", i, " delete"))
	}
	f.put("dead", many...)
	if err := f.store.DeadSet().Clear(ctx); err != nil {
		t.Error(err)
	}
	f.written(want...)
	f.put("queue:a", many...)
	if err := f.store.DeleteFromQueue(ctx, "a", many[0]); err != nil {
		t.Error(err)
	}
	f.written(want[0])
	if err := f.store.DeleteFromQueue(ctx, "a", many[0]); !errors.Is(err, queue.ErrNotFound) {
		t.Error(err)
	}
	for range 2 { // an empty queue, too
		if err := f.store.ClearQueue(ctx, "a"); err != nil ||
			f.raw.SCard(ctx, "queues").Val() != 0 {
			t.Error(err)
		}
	}
	f.written(want[1:]...)
	f.at("")

	f.put("retry", note("1", "yes"), note("2", "wrong type"), note("3", "forbidden"),
		note("4", "panics"), note("5", "yes"))
	var held *queue.EffectsError
	err := f.store.RetrySet().Clear(ctx)
	if !errors.As(err, &held) || held.Jobs != 3 {
		t.Error(err)
	}
	f.written("1 delete", "5 delete")
	f.at("")
}

func TestAStoreWithCapabilitiesRunsThePlainScriptForJobsWithoutEffects(t *testing.T) {
	f := noted(t)
	ctx := t.Context()
	settle, reclaim := queue.ScriptSHAs(f.store)
	known := func(shas [2]string) string {
		return fmt.Sprint(f.raw.ScriptExists(ctx, shas[:]...).Val())
	}
	settleAll := func(batch ...queue.Settlement) {
		t.Helper()
		results, err := f.store.Settle(ctx, batch)
		if err != nil || results[0] != queue.Settled {
			t.Fatal(results, err)
		}
	}
	f.put("queue:a", note("1", ""), note("2", ""), note("3", "yes"))
	jobs := f.fetch(3)
	f.raw.ScriptFlush(ctx) // from here on Redis knows what was run
	plain := f.settlement(jobs[0], queue.Done, queue.EventDone)
	settleAll(plain)
	if got := known(settle); got != "[true false]" {
		t.Error("settle, without and with effects:", got)
	}
	with := f.settlement(jobs[2], queue.Done, queue.EventDone)
	f.raw.ScriptFlush(ctx)
	settleAll(with)
	if got := known(settle); got != "[false true]" {
		t.Error("settle, without and with effects:", got)
	}
	f.reclaim(f.owner, queue.Poison{})
	if got := known(reclaim); got != "[true false]" {
		t.Error("reclaim, without and with effects:", got)
	}
}

func TestOpenSaysThatTheLuaOfACapabilityDoesNotCompile(t *testing.T) {
	f := newFixture(t)
	bad := queue.Capability{Kind: "bad", Lua: "this is not Lua"}
	open := func() (*queue.Store, error) {
		return queue.Open(t.Context(), queue.Config{URL: f.server.URL,
			Capabilities: []queue.Capability{bad}})
	}
	s, err := open()
	if err == nil || !strings.Contains(err.Error(), "the Lua of a capability does not compile") {
		t.Error(s, err)
	}
	bad.Kind = "B"
	if s, err := open(); err == nil {
		s.Close()
		t.Error("the kind B was taken")
	}
}
