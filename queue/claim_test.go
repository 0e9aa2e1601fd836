package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// seats is a capability for tests: a hash with a limited number of seats, one for each JID.
var seats = queue.Capability{Kind: "seat",
	Lua: "redis.call('HDEL', keys[1], args[1])",
	Claim: `if redis.call('HEXISTS', keys[1], jid) == 1 then return end
if redis.call('HLEN', keys[1]) >= tonumber(args[1]) then
  return 'taken by ' .. redis.call('HKEYS', keys[1])[1]
end
redis.call('HSET', keys[1], jid, #payload)`,
	Effects: func(j *queue.Job, _ queue.EffectEvent) []queue.Effect {
		return []queue.Effect{{Kind: "seat", Keys: []string{"kyu:seats"}, Args: []string{j.JID}}}
	}}

// seat returns a claim of one of so many seats.
func seat(of int) queue.Claim {
	return queue.Claim{Effect: queue.Effect{Kind: "seat", Keys: []string{"kyu:seats"},
		Args: []string{fmt.Sprint(of)}}}
}

// seated returns a fixture whose Store has seats.
func seated(t *testing.T) *fixture {
	f := newFixture(t)
	f.store = f.server.Store(func(c *queue.Config) { c.Capabilities = []queue.Capability{seats} })
	f.client = queue.NewClient(f.store)
	f.owner = f.newOwner("h:1:b")
	return f
}

func TestClaims(t *testing.T) {
	f := seated(t)
	claims := []queue.Claim{seat(2)}
	t.Run("let a push through that they grant", func(t *testing.T) {
		jid, err := f.client.Push(t.Context(), "Job", nil, queue.Options{Queue: "a", JID: "one",
			Claims: claims})
		same(t, "the JID and the error", fmt.Sprint(jid, err), "one<nil>")
		same(t, "waiting", f.raw.LLen(t.Context(), "queue:a").Val(), 1)
		size := f.raw.HGet(t.Context(), "kyu:seats", "one").Val()
		same(t, "the size of the payload that the claim saw", size,
			fmt.Sprint(len(f.raw.LIndex(t.Context(), "queue:a", 0).Val())))
	})
	t.Run("refuse some jobs of a bulk push, and no others", func(t *testing.T) {
		jids, err := f.client.PushBulk(t.Context(), "Job", [][]any{{1}, {2}, {3}},
			queue.Options{Queue: "a", Claims: claims})
		var refused *queue.ClaimError
		if !errors.As(err, &refused) || refused.Reason != "taken by one" {
			t.Errorf("err = %v", err)
		}
		same(t, "the JIDs of the refused", jids[1]+jids[2], "")
		same(t, "waiting", f.raw.LLen(t.Context(), "queue:a").Val(), 2)
		same(t, "whether the first was pushed", f.raw.HExists(t.Context(), "kyu:seats",
			jids[0]).Val(), true)
	})
	t.Run("hold for a scheduled job, and tell its pusher what it asked for", func(t *testing.T) {
		c := seat(2)
		c.Refused = func(reason string) (string, error) { return "other", errors.New(reason + "!") }
		jid, err := f.client.PushIn(t.Context(), time.Hour, "Job", nil,
			queue.Options{Claims: []queue.Claim{c}})
		same(t, "the JID and the error", fmt.Sprint(jid, " ", err), "other taken by one!")
		same(t, "scheduled", f.raw.ZCard(t.Context(), "schedule").Val(), 0)
	})
	t.Run("tell the pusher which of two of one kind was refused", func(t *testing.T) {
		first, second := seat(9), seat(1)
		first.Refused = func(string) (string, error) { return "first", nil }
		second.Refused = func(string) (string, error) { return "second", nil }
		second.Keys = []string{"kyu:other"}
		f.raw.HSet(t.Context(), "kyu:other", "somebody", 1)
		jid, err := f.client.Push(t.Context(), "Job", nil,
			queue.Options{JID: "two", Claims: []queue.Claim{first, second}})
		same(t, "the JID and the error", fmt.Sprint(jid, err), "second<nil>")
		f.raw.HDel(t.Context(), "kyu:seats", "two")
	})
	t.Run("are not made for a job that was pushed before", func(t *testing.T) {
		o := queue.Options{Queue: "b", JID: "again", Idempotent: true,
			Claims: []queue.Claim{seat(3)}}
		for range 2 {
			if jid, err := f.client.Push(t.Context(), "Job", nil, o); jid != "again" || err != nil {
				t.Error(jid, err)
			}
			f.raw.HDel(t.Context(), "kyu:seats", "again")
		}
		same(t, "waiting", f.raw.LLen(t.Context(), "queue:b").Val(), 1)
	})
}

func TestClaimProblems(t *testing.T) {
	f := seated(t)
	push := func(t *testing.T, claims ...queue.Claim) error {
		_, err := f.client.Push(t.Context(), "Job", nil, queue.Options{Queue: "c", Claims: claims})
		return err
	}
	t.Run("name a kind that the Store does not have", func(t *testing.T) {
		err := push(t, queue.Claim{Effect: queue.Effect{Kind: "nothing"}})
		var invalid *queue.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), `"nothing"`) {
			t.Error(err)
		}
	})
	t.Run("are an error if the Lua fails, and other jobs are pushed", func(t *testing.T) {
		f.raw.Set(t.Context(), "kyu:seats", "no hash", 0)
		defer f.raw.Del(t.Context(), "kyu:seats")
		if err := push(t, seat(1)); !errors.Is(err, queue.ErrClaim) ||
			!strings.Contains(err.Error(), "WRONGTYPE") {
			t.Error(err)
		}
	})
	t.Run("push nothing if the queue is no list", func(t *testing.T) {
		f.raw.Set(t.Context(), "queue:c", "no list", 0)
		defer f.raw.Del(t.Context(), "queue:c")
		if err := push(t, seat(1)); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
			t.Error(err)
		}
		same(t, "seats", f.raw.Exists(t.Context(), "kyu:seats").Val(), 0)
	})
	t.Run("come in calls of at most 62 jobs", func(t *testing.T) {
		jids, err := f.client.PushBulk(t.Context(), "Job", make([][]any, 200),
			queue.Options{Queue: "c", Claims: []queue.Claim{seat(150)}})
		same(t, "whether some were refused", err != nil, true)
		same(t, "waiting", f.raw.LLen(t.Context(), "queue:c").Val(), 150)
		for i, jid := range jids {
			if (jid != "") != (i < 150) {
				t.Fatalf("job %d: %q", i, jid)
			}
		}
	})
}

func TestOwnerClaim(t *testing.T) {
	f := seated(t)
	f.push("a", 2)
	got, err := f.owner.Fetch(t.Context(), queue.FetchRequest{Queues: abc, Want: 2,
		First: f.store.Tokens(2)})
	if err != nil || len(got.Jobs) != 2 {
		t.Fatal(got, err)
	}
	one, two := &got.Jobs[0], &got.Jobs[1]
	t.Run("grants a claim to a job in flight, and again", func(t *testing.T) {
		for range 2 {
			r, err := f.owner.Claim(t.Context(), "a0", one, seat(1).Effect)
			same(t, "the answer", fmt.Sprint(r, err), "<nil> <nil>")
		}
	})
	t.Run("says why a claim is refused", func(t *testing.T) {
		r, err := f.owner.Claim(t.Context(), "a1", two, seat(1).Effect)
		if err != nil || r == nil || r.Reason != "taken by a0" || r.Kind != "seat" {
			t.Error(r, err)
		}
	})
	t.Run("makes no claim for a job that was settled", func(t *testing.T) {
		if _, err := f.store.Settle(t.Context(), []queue.Settlement{{Delivery: two}}); err != nil {
			t.Fatal(err)
		}
		_, err := f.owner.Claim(t.Context(), "a1", two, seat(9).Effect)
		same(t, "whether the lease is lost", errors.Is(err, queue.ErrLeaseLost), true)
		same(t, "seats", f.raw.HLen(t.Context(), "kyu:seats").Val(), 1)
	})
}
