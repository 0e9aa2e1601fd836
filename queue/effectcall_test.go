package queue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// notes is a capability that notes each removed job and its event in a list. The field note of a
// job is empty for no effect, "yes" for an effect, or names the way in which the effect fails.
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

// newNoted returns a fixture whose Store has that capability.
func newNoted(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	f.store = f.server.Store(func(c *queue.Config) { c.Capabilities = []queue.Capability{notes} })
	f.owner = f.newOwner("h:1:b")
	f.spoil("kyu:text")
	return f
}

// note returns the payload of a job with a note.
func note(jid, how string) string {
	return fmt.Sprintf(`{"class":"J","jid":%q,"queue":"a","args":[],"note":%q}`, jid, how)
}

// noted checks the notes since the last call.
func (f *fixture) noted(want ...string) {
	f.Helper()
	if got := f.raw.LRange(f.Context(), "kyu:notes", 0, -1).Val(); !slices.Equal(got, want) {
		f.Errorf("noted %q, want %q", got, want)
	}
	f.raw.Del(f.Context(), "kyu:notes")
}

// settlement returns a settlement with the effects of the job.
func (f *fixture) settlement(d *queue.Delivery, a queue.Action,
	e queue.EffectEvent) queue.Settlement {
	f.Helper()
	j, err := envelope.ParseJob(d.Raw)
	if err != nil {
		f.Fatal(err)
	}
	list, err := f.owner.Effects(j, e)
	if err != nil {
		f.Fatal(err)
	}
	return queue.Settlement{Delivery: d, Action: a, Payload: d.Raw, At: time.Unix(2e9, 0), To: "b",
		Effects: list}
}

// settled settles a batch and checks the results.
func (f *fixture) settled(batch []queue.Settlement, want ...queue.Result) {
	f.Helper()
	results, err := f.store.Settle(f.Context(), batch)
	if err != nil || !slices.Equal(results, want) {
		f.Errorf("settled %v, want %v, %v", results, want, err)
	}
}

func TestSettleEffects(t *testing.T) {
	f := newNoted(t)
	for event, action := range map[queue.EffectEvent]queue.Action{
		queue.EventDone: queue.Done, queue.EventDiscard: queue.Done, queue.EventExpire: queue.Done,
		queue.EventRetry: queue.Retry, queue.EventSnooze: queue.Schedule,
		queue.EventDead: queue.Dead, queue.EventRequeue: queue.Requeue,
		queue.EventForward: queue.Forward, queue.EventHold: queue.Hold,
	} {
		t.Run("run once for "+string(event), func(t *testing.T) {
			f := f.in(t)
			f.put("queue:c", note("x", "yes"), note("without", ""))
			jobs, _, err := take(t.Context(), f.store, f.owner, []string{"c"}, 2, nil, nil)
			if err != nil || len(jobs) != 2 {
				t.Fatal(jobs, err)
			}
			batch := []queue.Settlement{f.settlement(jobs[0], action, event),
				f.settlement(jobs[1], queue.Done, queue.EventDone)}
			f.settled(batch, queue.Settled, queue.Settled)
			f.settled(batch, queue.Stale, queue.Stale) // as after a lost reply
			f.noted("x " + string(event))
			f.raw.Del(t.Context(), "queue:c")
		})
	}
	t.Run("do not run for a job that stays because of a wrong type", func(t *testing.T) {
		f := f.in(t)
		f.put("queue:a", note("x", "yes"))
		x := f.settlement(f.fetch(1)[0], queue.Retry, queue.EventRetry)
		f.spoil("retry")
		f.settled([]queue.Settlement{x}, queue.Refused)
		f.noted()
	})
}

func TestSettleFailingEffects(t *testing.T) {
	f := newNoted(t)
	f.put("queue:a", note("1", "wrong type"), note("2", "yes"), note("3", "forbidden"))
	var batch []queue.Settlement
	for _, d := range f.fetch(3) {
		batch = append(batch, f.settlement(d, queue.Done, queue.EventDone))
	}
	t.Run("refuse a batch if Redis forbids a key of one", func(t *testing.T) {
		if _, err := f.store.Settle(t.Context(), batch); !redisdb.Rejected(err) {
			t.Error(err)
		}
		f.in(t).noted()
	})
	t.Run("settle the job if an effect fails", func(t *testing.T) {
		f.in(t).settled(batch[:2], queue.Partly, queue.Settled)
		if !strings.Contains(batch[0].Failed, "WRONGTYPE") {
			t.Errorf("the reason is %q", batch[0].Failed)
		}
	})
	t.Run("settle a single job if Redis forbids a key", func(t *testing.T) {
		f.in(t).settled(batch[2:], queue.Partly)
		if !strings.Contains(batch[2].Failed, "NOPERM") {
			t.Errorf("the reason is %q", batch[2].Failed)
		}
		f.in(t).settled(batch[2:], queue.Stale)
	})
	f.noted("2 done")
	f.at("")
}

func TestReclaimEffects(t *testing.T) {
	f := newNoted(t)
	t.Run("run once for jobs that go back to their queue", func(t *testing.T) {
		f := f.in(t)
		f.put("queue:a", note("1", "yes"), note("2", ""), note("3", "yes"))
		f.fetch(3)
		f.reclaim(f.owner, queue.Poison{Times: 9, Within: time.Hour})
		f.noted("3 reclaim", "1 reclaim")
		f.reclaim(f.owner, queue.Poison{Times: 9, Within: time.Hour})
		f.noted()
	})
	t.Run("run for poison", func(t *testing.T) {
		f := f.in(t)
		f.owner = f.newOwner("h:1:c")
		for _, d := range f.fetch(3)[1:] {
			f.settle(d, queue.Done, "")
		}
		got := f.reclaim(f.owner, queue.Poison{Times: 1, Within: time.Hour})
		same(t, "the number of poisoned jobs", len(got.Poisoned), 1)
		f.noted("1 poison")
	})
	t.Run("that fail do not keep jobs in flight, or change their order", func(t *testing.T) {
		f := f.in(t)
		f.owner = f.newOwner("h:1:d")
		f.put("queue:a", note("1", "yes"), note("2", "wrong type"), note("3", "forbidden"),
			note("4", "panics"), note("5", "yes"))
		f.fetch(5)
		got := f.reclaim(f.owner, queue.Poison{})
		same(t, "Requeued", got.Requeued, 5)
		same(t, "the number of failures", len(got.Failed), 3)
		for _, part := range []string{"WRONGTYPE", "NOPERM", "panicked: no good"} {
			if !strings.Contains(fmt.Sprint(got.Failed), part) {
				t.Errorf("no %s in %q", part, got.Failed)
			}
		}
		f.noted("5 reclaim", "1 reclaim")
		f.owner = f.newOwner("h:1:e")
		same(t, "the order", f.jids(f.fetch(5)), "1 2 3 4 5")
	})
}

func TestStoreWithCapabilities(t *testing.T) {
	f := newNoted(t)
	ctx := t.Context()
	settle, reclaim := queue.ScriptSHAs(f.store)
	known := func(shas [2]string) string {
		return fmt.Sprint(f.raw.ScriptExists(ctx, shas[:]...).Val())
	}
	f.put("queue:a", note("1", ""), note("2", ""), note("3", "yes"))
	jobs := f.fetch(3)
	plain := f.settlement(jobs[0], queue.Done, queue.EventDone)
	with := f.settlement(jobs[2], queue.Done, queue.EventDone)
	f.raw.ScriptFlush(ctx) // then Redis knows only scripts that were run
	t.Run("settles jobs without effects by the plain script", func(t *testing.T) {
		f.in(t).settled([]queue.Settlement{plain}, queue.Settled)
		same(t, "the scripts that were run", known(settle), "[true false]")
	})
	f.raw.ScriptFlush(ctx)
	t.Run("settles jobs with effects by the copy of the script", func(t *testing.T) {
		f.in(t).settled([]queue.Settlement{with}, queue.Settled)
		same(t, "the scripts that were run", known(settle), "[false true]")
	})
	t.Run("reclaims jobs without effects by the plain script", func(t *testing.T) {
		f.in(t).reclaim(f.owner, queue.Poison{})
		same(t, "the scripts that were run", known(reclaim), "[true false]")
	})
}

func TestOpenWithCapabilities(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		capability queue.Capability
		want       string
	}{
		"Lua that does not compile": {queue.Capability{Kind: "bad", Lua: "this is not Lua"},
			"the Lua of a capability does not compile"},
		"a wrong kind": {queue.Capability{Kind: "B", Lua: "return"}, `capability "B"`},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			s, err := queue.Open(t.Context(), queue.Config{URL: f.server.URL,
				Capabilities: []queue.Capability{c.capability}})
			if err == nil {
				s.Close()
			}
			if !says(err, c.want) {
				t.Error(err)
			}
		})
	}
}
