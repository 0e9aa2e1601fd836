package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

func TestQueuesOf(t *testing.T) {
	f := newFixture(t)
	f.push("a", 1)
	f.fetch(1)
	f.raw.Del(t.Context(), "kyu:owner:h:1:a")
	t.Run("finds what an owner without a record holds", func(t *testing.T) {
		if got, err := f.store.QueuesOf(t.Context(), "h:1:a"); err != nil ||
			fmt.Sprint(got) != "[a]" {
			t.Errorf("found %v, %v", got, err)
		}
	})
	t.Run("does not walk for an owner that a peer has forgotten", func(t *testing.T) {
		f.raw.ZRem(t.Context(), "kyu:leases", "h:1:a")
		before := scans(f.raw, t)
		if got, err := f.store.QueuesOf(t.Context(), "h:1:a"); err != nil || len(got) != 0 {
			t.Errorf("found %v, %v", got, err)
		}
		if n := scans(f.raw, t) - before; n != 0 {
			t.Errorf("walked through the keys in %d calls", n)
		}
	})
}

// scans counts the SCAN calls that Redis has carried out.
func scans(raw *redis.Client, t *testing.T) (n int) {
	t.Helper()
	for line := range strings.Lines(raw.Info(t.Context(), "commandstats").Val()) {
		fmt.Sscanf(line, "cmdstat_scan:calls=%d", &n)
	}
	return n
}

func TestReclaimCounts(t *testing.T) {
	suspect := `{"class":"Job","jid":"s","args":[],"queue":"a","crashes":8,"crashed_at":` +
		fmt.Sprint(time.Now().Unix()) + `}`
	poison := queue.Poison{Times: 3, Within: time.Hour}
	for name, c := range map[string]struct {
		marks func(o *queue.Owner, d *queue.Delivery) error
		want  string
	}{
		"a suspect that waits for its turn loses nothing by the crash of others": {
			func(*queue.Owner, *queue.Delivery) error { return nil }, "queue:a=1"},
		"one that runs beside others does": {func(o *queue.Owner, d *queue.Delivery) error {
			return o.Beside(t.Context(), d)
		}, "dead=1"},
		"one that is alone does": {func(o *queue.Owner, d *queue.Delivery) error {
			return o.Alone(t.Context(), d)
		}, "dead=1"},
		"one beside the only one that runs does not": {func(o *queue.Owner,
			d *queue.Delivery) error {
			return errors.Join(o.Beside(t.Context(), d),
				o.Alone(t.Context(), &queue.Delivery{Queue: "a", Owner: o, Token: d.Token + 100}))
		}, "queue:a=1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.raw.LPush(t.Context(), "queue:a", suspect)
			if err := c.marks(f.owner, f.fetch(1)[0]); err != nil {
				t.Fatal(err)
			}
			f.raw.ZAdd(t.Context(), "kyu:leases", redis.Z{Score: -1, Member: f.owner.Identity})
			if _, _, err := f.store.Reclaim(t.Context(), f.owner.Identity, "a", poison,
				50); err != nil {
				t.Fatal(err)
			}
			f.at(c.want)
		})
	}
}

func TestBesideMarksNoOwnerThatWasForgotten(t *testing.T) {
	f := newFixture(t)
	f.raw.Del(t.Context(), "kyu:owner:h:1:a")
	err := f.owner.Beside(t.Context(), &queue.Delivery{Token: 7})
	if !errors.Is(err, queue.ErrLeaseLost) || f.raw.Exists(t.Context(),
		"kyu:owner:h:1:a").Val() != 0 {
		t.Errorf("it has a record again, or %v", err)
	}
}
