package inspect_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// places are all places, as keys of Redis, with what Locate says of a job there.
var places = map[string]inspect.Place{
	"schedule": {Kind: inspect.InSchedule}, "retry": {Kind: inspect.InRetry},
	"dead": {Kind: inspect.InDead}, "kyu:hold:A": {Kind: inspect.InHold, Class: "A"},
	"queue:push":                     {Kind: inspect.InQueue, Queue: "push", Before: 2},
	"kyu:{queue:push}:inflight:h:1:": {Kind: inspect.InFlight, Queue: "push", Process: "h:1:"},
	"kyu:{queue:push}:landing:h:1:":  {Kind: inspect.InLanding, Queue: "push", Process: "h:1:"},
}

func TestLocate(t *testing.T) {
	f := newFixture(t)
	for key, want := range places {
		t.Run("finds a job in "+key, func(t *testing.T) {
			f.raw.FlushDB(t.Context())
			for i := range 3 {
				f.place(key, fmt.Sprintf(`{"class":"A","jid":"jid%d","queue":"push","args":[]}`, i))
			}
			p, j, err := f.in.Locate(t.Context(), "jid2")
			if err != nil || j.JID != "jid2" {
				t.Fatal(p, err)
			}
			p.At = want.At
			same(t, "the place", fmt.Sprint(p), fmt.Sprint(want))
		})
	}
	t.Run("says that a job is nowhere", func(t *testing.T) {
		if _, _, err := f.in.Locate(t.Context(), "jid"); !errors.Is(err, queue.ErrNotFound) {
			t.Error(err)
		}
	})
}

// place puts a payload into a place.
func (f *fixture) place(key, payload string) {
	ctx := f.Context()
	f.raw.SAdd(ctx, "queues", "push")
	f.raw.SAdd(ctx, "kyu:held", "A")
	switch places[key].Kind {
	case inspect.InQueue, inspect.InLanding:
		f.raw.LPush(ctx, key, payload)
	case inspect.InFlight:
		f.raw.HSet(ctx, key, payload, payload)
	default:
		f.raw.ZAdd(ctx, key, redis.Z{Score: 2e9, Member: payload})
	}
}

func TestWalk(t *testing.T) {
	f := newFixture(t)
	f.raw.FlushDB(t.Context())
	want := 0
	for key := range places {
		for i := range 700 {
			f.place(key, fmt.Sprintf(`{"class":"A","jid":"%s%d","queue":"push","args":[]}`, key, i))
			want++
		}
	}
	met := map[string]bool{}
	if err := f.in.Walk(t.Context(), func(_ inspect.Place, raw string) bool {
		met[raw] = true
		return true
	}); err != nil {
		t.Fatal(err)
	}
	same(t, "jobs that were met", len(met), want)
	t.Run("ends when it is told to", func(t *testing.T) {
		n := 0
		f.in.Walk(t.Context(), func(inspect.Place, string) bool { n++; return false })
		same(t, "jobs that were met", n, 1)
	})
}
