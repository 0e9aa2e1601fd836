package queue_test

import (
	"strings"
	"testing"
	"time"

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

func (f *fixture) deadAsItWas(o *queue.Owner, n int64) {
	f.Helper()
	if got := f.raw.ZRange(f.Context(), "dead", 0, -1).Val(); len(got) != 1 || got[0] != large {
		f.Errorf("the dead set holds %.80q…, want the job byte for byte", got)
	}
	if got := o.Buried(); got != n {
		f.Errorf("%d are said to be buried, want %d", got, n)
	}
}

func TestAJobThatIsTooLargeToBeReadGoesToTheDeadSetUnreadAndUnchanged(t *testing.T) {
	f := newFixture(t)
	o := f.limited()
	f.push("a", 2)
	f.raw.LPush(t.Context(), "queue:a", large)
	f.raw.LPush(t.Context(), "queue:a", `{"class":"Job","jid":"last","args":[]}`)
	f.push("b", 1)
	jobs, _, err := o.Fetch(t.Context(), []string{"a", "b"}, 10, nil, nil)
	if got := jids(f, jobs); err != nil || got != "a0 a1 last b0" {
		t.Fatalf("fetched %s, %v", got, err)
	}
	for i, d := range jobs { // each under the token that it is known by
		if stale, err := f.store.Settle(t.Context(), []queue.Settlement{{Delivery: d, Action: queue.Done}}); err != nil || stale[0] {
			t.Errorf("job %d is not held under its token: %v", i, err)
		}
	}
	f.at("dead=1")
	f.deadAsItWas(o, 1)
}

func TestADoorbellDoesNotReadWhatIsTooLarge(t *testing.T) {
	f := newFixture(t)
	o := f.limited()
	f.raw.LPush(t.Context(), "queue:a", large)
	bell := o.Bell("a")
	defer bell.Close()
	if d, err := bell.Ring(t.Context()); d != nil || err != nil {
		t.Fatalf("rang with %v, %v", d, err)
	}
	f.at("dead=1")
	f.deadAsItWas(o, 1)
	f.push("a", 1) // and hangs again
	if d, err := bell.Ring(t.Context()); err != nil || d == nil || jids(f, []*queue.Delivery{d}) != "a0" {
		t.Errorf("then rang with %v, %v", d, err)
	}
}

func TestWhatIsTooLargeIsNotReadByWhoReclaimsOrAuditsIt(t *testing.T) {
	for _, how := range []string{"reclaim", "audit"} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t)
			o := f.limited()
			f.raw.LPush(t.Context(), "kyu:{queue:a}:landing:h:1:limited", large)
			if how == "audit" {
				if lost, err := o.Audit(t.Context(), []string{"a"}, nil); err != nil || len(lost) != 0 {
					t.Errorf("found %v, %v", lost, err)
				}
				f.deadAsItWas(o, 1)
				return
			}
			s := f.server.Store(func(c *queue.Config) { c.MaxTaken = small })
			if got, _, err := s.Reclaim(t.Context(), "h:1:limited", "a", queue.Poison{}, 50); err != nil || got.Requeued != 0 {
				t.Errorf("reclaimed %+v, %v", got, err)
			}
			f.deadAsItWas(o, 0)
		})
	}
}
