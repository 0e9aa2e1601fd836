package queue_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

const small = 4096

// large is a job of more than small bytes, as Ruby may push it.
var large = `{"class":"Job","jid":"big","args":["` + strings.Repeat("x", small) + `"], "odd" : 1.0}`

func (f *fixture) limited() *queue.Owner {
	f.Helper()
	o := f.server.Store(func(c *queue.Config) { c.MaxTaken = small }).Owner("h:1:limited")
	if err := o.Register(f.Context(), queue.Host{}, []string{"a", "b"}, time.Minute); err != nil {
		f.Fatal(err)
	}
	return o
}

func (f *fixture) deadAsItWas() {
	f.Helper()
	if got := f.raw.ZRange(f.Context(), "dead", 0, -1).Val(); len(got) != 1 || got[0] != large {
		f.Errorf("the dead set holds %.80q…, want the job byte for byte", got)
	}
}

func TestAJobThatIsTooLargeToBeReadGoesToTheDeadSetUnreadAndUnchanged(t *testing.T) {
	f := newFixture(t)
	o := f.limited()
	f.push("a", 2)
	f.raw.LPush(t.Context(), "queue:a", large)
	f.raw.LPush(t.Context(), "queue:a", `{"class":"Job","jid":"last","args":[]}`)
	f.push("b", 1)
	fetched, err := o.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"a", "b"}, Want: 10,
		First: f.store.Tokens(10)})
	got := jids(f, fetched.Own())
	if err != nil || got != "a0 a1 last b0" || fetched.Oversized != 1 {
		t.Fatalf("fetched %s, buried %d, %v", got, fetched.Oversized, err)
	}
	for i, d := range fetched.Own() { // each under the token that it is known by
		if settled, err := settleOne(t.Context(), f.store,
			queue.Settlement{Delivery: d, Action: queue.Done}); err != nil || !settled {
			t.Errorf("job %d is not held under its token: %v", i, err)
		}
	}
	f.at("dead=1")
	f.deadAsItWas()
}

func TestADoorbellDoesNotReadWhatIsTooLarge(t *testing.T) {
	f := newFixture(t)
	o := f.limited()
	f.raw.LPush(t.Context(), "queue:a", large)
	bell := o.Bell("a")
	defer bell.Close()
	if rung, err := bell.Ring(t.Context(), f.store.Tokens(1), []string{"a"}); !errors.Is(err,
		redisdb.ErrLarge) {
		t.Fatalf("rang with %+v, %v", rung, err)
	}
	got, err := o.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"a"}, Want: 1,
		First: f.store.Tokens(1), Adopt: []int{0}})
	if err != nil || len(got.Jobs) != 0 || got.Oversized != 1 {
		t.Errorf("fetched %+v, %v", got, err)
	}
	f.at("dead=1")
	f.deadAsItWas()
	f.push("a", 1) // and hangs again
	if rung, err := bell.Ring(t.Context(), f.store.Tokens(1), []string{"a"}); err != nil ||
		rung.Job == nil {
		t.Errorf("then rang with %+v, %v", rung, err)
	}
}
