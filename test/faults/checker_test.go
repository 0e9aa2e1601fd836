package faults

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
)

// verdict is what check found. The rule: each job that was pushed is queued, in flight, in a set,
// dead or done, and it is done at least once. The words are those of Jepsen's total-queue.
type verdict struct {
	Acked      int `json:"acked"`
	Ended      int `json:"ended"`
	Lost       int `json:"lost"`       // acknowledged, not ended, and nowhere in Redis
	Unexpected int `json:"unexpected"` // ended, and no push was intended
	Recovered  int `json:"recovered"`  // ended though the push was not acknowledged
	Duplicates int `json:"duplicates"` // ends beyond the first of each
	Conflicts  int `json:"conflicts"`  // ended, and also waiting or dead; or in two places
	Stranded   int `json:"stranded"`   // in flight after all jobs have ended
	Unfinished int `json:"unfinished"` // acknowledged, not ended, and waiting or dead
	Torn       int `json:"torn"`       // got other bytes than were pushed
	Expired    int `json:"expired"`    // acknowledged, and were too late to run
	Refused    int `json:"refused"`    // not pushed, because another job held their lock
}

// everything returns the jids of all payloads and the place of each, at one moment. It returns the
// beginning of a payload that has no jid, because payloads can be large. It calls KEYS once,
// because the keys of a million idempotent pushes are among those that KEYS goes through.
const everything = `local out = {}
local function add(where, list)
  for _, raw in ipairs(list) do
    local id, at = string.sub(raw, 1, 100), string.find(raw, '"jid":"', 1, true)
    if at then id = string.sub(raw, at + 7, string.find(raw, '"', at + 7, true) - 1) end
    out[#out + 1] = where
    out[#out + 1] = id
  end
end
for _, key in ipairs(redis.call('KEYS', '*queue:*')) do
  local kind = redis.call('TYPE', key).ok
  local at = string.find(key, 'queue:', 1, true) == 1 and 'queue' or 'in flight'
  if string.find(key, ':lanes:lane:', 1, true) or string.find(key, ':lanes:arrived', 1, true) then
    at = 'queue' -- it is parked, or a doorbell took it
  elseif string.find(key, ':lanes', 1, true) then
    kind = 'no jobs'
  end
  if kind == 'hash' then add(at, redis.call('HVALS', key)) end
  if kind == 'list' then add(at, redis.call('LRANGE', key, 0, -1)) end
end
for _, class in ipairs(redis.call('SMEMBERS', 'kyu:held')) do
  add('held', redis.call('ZRANGE', 'kyu:hold:' .. class, 0, -1))
end
for _, key in ipairs({'retry', 'schedule', 'dead'}) do
  add(key, redis.call('ZRANGE', key, 0, -1))
end
for _, key in ipairs(redis.call('KEYS', 'kyu:trash:*')) do
  local list = redis.call('TYPE', key).ok == 'list'
  add('trash', redis.call(list and 'LRANGE' or 'ZRANGE', key, 0, -1))
end
for _, digest in ipairs(redis.call('ZRANGE', 'uniquejobs:digests', 0, -1)) do
  add('lock ' .. digest, redis.call('HKEYS', digest .. ':LOCKED'))
end
return out`

// where returns the places of each job, and the jobs that hold each lock.
func where(t testing.TB, s *harness.Site) (places, holders map[string][]string) {
	t.Helper()
	flat, err := s.Raw.Eval(context.Background(), everything, nil).StringSlice()
	if err != nil {
		t.Fatal(err)
	}
	places, holders = map[string][]string{}, map[string][]string{}
	for i := 0; i+1 < len(flat); i += 2 {
		if digest, ok := strings.CutPrefix(flat[i], "lock "); ok {
			holders[digest] = append(holders[digest], flat[i+1])
		} else {
			places[flat[i+1]] = append(places[flat[i+1]], flat[i])
		}
	}
	return places, holders
}

// conserve checks the rule during a run. A job that was acknowledged before Redis is read, and has
// not ended afterwards, must be in exactly one place. Each lock must have one living holder.
func (l *ledger) conserve(t *testing.T, s *harness.Site) {
	t.Helper()
	l.read(t)
	before := l.open()
	places, holders := where(t, s)
	l.read(t)
	after := l.open()
	l.checkHolders(t, places, holders)
	for id := range before {
		if after[id] && len(places[id]) == 0 && !expired(t, s, id) {
			t.Errorf("job %s has not ended, and is nowhere in Redis", id)
		}
	}
	for id, in := range places {
		if len(in) > 1 {
			t.Errorf("job %s is in %v at the same time", id, in)
		}
	}
}

// checker compares the ledger with Redis, and notes its findings.
type checker struct {
	*testing.T
	*ledger
	verdict
	shown map[*int]int // by kind of finding: how many were printed
}

// check compares the ledger with Redis at the end of a test. It fails the test for each fault that
// it finds, except for unfinished jobs, which it notes in l.left.
func (l *ledger) check(t *testing.T, s *harness.Site) verdict {
	t.Helper()
	l.read(t)
	places, _ := where(t, s)
	l.readTally(t, s)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.places = places
	c := &checker{T: t, ledger: l, shown: map[*int]int{},
		verdict: verdict{Acked: len(l.acked), Ended: len(l.ends), Torn: len(l.torn),
			Refused: l.claims.refused}}
	c.checkAcked()
	c.checkEnds()
	c.checkPlaces()
	for _, id := range l.torn {
		t.Errorf("it got other bytes than were pushed: %s", l.history(id))
	}
	if c.Acked == 0 {
		t.Error("no push was acknowledged: the test shows nothing")
	}
	return c.verdict
}

// found counts a finding, and prints the first ten of its kind.
func (c *checker) found(n *int, id, what string) {
	c.Helper()
	*n++
	if c.shown[n]++; c.shown[n] <= 10 {
		c.Errorf("%s: %s: %s", what, id, c.history(id))
	}
}

// checkAcked looks for jobs that were acknowledged and have neither ended nor a place.
func (c *checker) checkAcked() {
	c.Helper()
	for id := range c.acked {
		switch doomed := c.class[id] == "Test::Doomed"; {
		case c.ends[id] > 0 || doomed && slices.Equal(c.places[id], []string{"dead"}):
		case len(c.places[id]) == 0 && c.claims.tally[id]["expire"] > 0:
			c.Expired++
		case len(c.places[id]) == 0:
			c.found(&c.Lost, id, "lost")
		case doomed:
			c.found(&c.Unfinished, id, "must be in the dead set, and is not")
		default:
			c.Unfinished++
			c.left = append(c.left, id)
		}
	}
}

// checkEnds looks for jobs that ended and were not pushed, and counts further ends.
func (c *checker) checkEnds() {
	c.Helper()
	for id, n := range c.ends {
		c.Duplicates += n - 1
		switch {
		case !c.intent[id]:
			c.found(&c.Unexpected, id, "ended, and no push was intended")
		case !c.acked[id]:
			c.Recovered++
		}
	}
}

// checkPlaces looks for jobs that are in Redis and should not be there.
func (c *checker) checkPlaces() {
	c.Helper()
	for id, in := range c.places {
		switch {
		case slices.Contains(in, "in flight"):
			c.found(&c.Stranded, id, "in flight after all jobs have ended")
		case c.ends[id] > 0:
			c.found(&c.Conflicts, id, "ended, and also in Redis")
		case len(in) > 1:
			c.found(&c.Conflicts, id, "in two places")
		}
	}
}
