package unique_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// TestGoldenPush pushes a job with a lock of Kyu's for each golden case, and compares the keys and
// the payload with those that the gem's client leaves.
func TestGoldenPush(t *testing.T) {
	b := newBench(t)
	n := 0
	for _, g := range goldens(t) {
		kind := unique.Kind(g.Lock)
		for i := range g.Cases {
			c := &g.Cases[i]
			lock := unique.Lock{Kind: kind, Limit: c.Limit}
			if c.TTL != nil {
				lock.For = time.Duration(*c.TTL) * time.Second
			}
			started := strings.HasPrefix(g.Lock, "while_executing") && c.Limit == 2
			if kind == "while_executing_reject" || started || c.Info ||
				kind == unique.UntilExpired && c.TTL == nil {
				continue // Go's Lock has no such kind; the other job has started; no lock_info
			}
			for _, moment := range []string{"pushed", "scheduled"} {
				n++
				s := b.scene(n)
				t.Run(fmt.Sprintf("%s %s, %s, %s", g.Gem, kind, c.name(), moment),
					func(t *testing.T) { s.pushes(t, g.Gem, c, lock, moment) })
			}
		}
	}
}

// pushes pushes the jobs of a golden case, and compares.
func (s *scene) pushes(t *testing.T, gem string, c *goldenCase, lock unique.Lock, moment string) {
	lock.Key = s.jid // so each scene has a digest of its own
	client, args := s.client(lock), []any{1}
	if c.Limit == 2 {
		o := queue.Options{Queue: "a", JID: s.other}
		if jid, err := client.Push(t.Context(), "Job", args, o); jid != s.other || err != nil {
			t.Fatal(jid, err)
		}
	}
	at := time.Time{}
	if moment == "scheduled" {
		at = s.at
	}
	if jid, err := client.PushAt(t.Context(), at, "Job", args,
		queue.Options{Queue: "a", JID: s.jid}); jid != s.jid || err != nil {
		t.Fatal(jid, err)
	}
	want := c.at(moment)
	j := s.pushed()
	s.digest = strings.TrimSuffix(j.String("lock_digest"), ":RUN")
	s.comparePayload(t, j, must(envelope.ParseJob(s.payload(want.payload(c)))))
	s.compareKeys(t, gem, want, lock)
	if wrong := s.problem(); wrong != "" {
		t.Error(wrong)
	}
}

// pushed returns the job of the scene from where the push has put it.
func (s *scene) pushed() *queue.Job {
	list := append(s.raw.LRange(s.Context(), "queue:a", 0, -1).Val(),
		s.raw.ZRange(s.Context(), "schedule", 0, -1).Val()...)
	for _, raw := range list {
		if j := must(envelope.ParseJob(raw)); j.JID == s.jid {
			return j
		}
	}
	s.Fatal("the job is neither in the queue nor in the schedule set")
	return nil
}

// comparePayload compares the fields of the lock that the gem's server reads. A field that is null
// and one that is absent are the same to it.
func (s *scene) comparePayload(t *testing.T, got, want *queue.Job) {
	t.Helper()
	for _, key := range []string{"lock", "lock_digest", "lock_args", "lock_prefix", "lock_ttl",
		"lock_timeout", "lock_limit"} {
		g, w := got.Field(key), want.Field(key)
		if strings.TrimPrefix(g, "null") != strings.TrimPrefix(w, "null") {
			t.Errorf("the field %s is %s, the gem's is %s", key, g, w)
		}
	}
}

// compareKeys compares the keys. The gem's scores in expiring_digests are wrong (docs/wire.md
// 15.2), and 9 has neither the digest nor that set, so they are not compared.
func (s *scene) compareKeys(t *testing.T, gem string, want *goldenMoment, lock unique.Lock) {
	t.Helper()
	if held := s.held(); held != want.holders() {
		t.Errorf("held by %q, with the gem by %q", held, want.holders())
	}
	nine := strings.HasPrefix(gem, "9")
	for _, name := range []string{"<digest>", "<digest>:LOCKED"} {
		golden := want.key(name)
		if nine && name == "<digest>" {
			golden = want.key("<digest>:LOCKED")
		}
		if golden == nil {
			continue // and problem has looked for what must not be there
		}
		got := s.raw.PTTL(t.Context(), s.names(name)).Val()
		gems := time.Duration(golden.PTTL) * time.Millisecond
		if (got > 0) != (gems > 0) || got > 0 && (got > gems || got < gems-10*time.Second) {
			t.Errorf("%s expires after %v, with the gem after %v", name, got, gems)
		}
	}
	if last := s.raw.Get(t.Context(), s.digest).Val(); want.holders() != "" && last != s.jid {
		t.Errorf("the digest names %s, want %s", last, s.jid)
	}
	for _, set := range []string{"uniquejobs:digests", "uniquejobs:expiring_digests"} {
		if nine && lock.Kind == unique.UntilExpired {
			continue
		}
		_, golden := want.key(set).object()["<digest>"]
		listed := s.raw.ZScore(t.Context(), set, s.digest).Err() == nil
		if listed != golden {
			t.Errorf("in %s: %v, with the gem %v", set, listed, golden)
		}
	}
}
