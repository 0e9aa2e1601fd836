package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/testjobs"
)

// claims is the part of a ledger about jobs with locks, and jobs that may expire.
type claims struct {
	locks   map[string]lockOf         // by job
	back    map[string]bool           // jobs that came back from the dead set: without their locks
	refused int                       // pushes
	tally   map[string]map[string]int // by job and event: how often its effects were carried out
}

// lockOf is the lock of a job. Jobs with the same lockOf share it.
type lockOf struct {
	kind unique.Kind
	key  string
}

func newClaims() claims {
	return claims{locks: map[string]lockOf{}, back: map[string]bool{},
		tally: map[string]map[string]int{}}
}

// lockKeys is the number of locks of each kind.
const lockKeys = 10

// pushLocked pushes a job with a lock, one that expires, or one with both. One of four with a lock
// fails first, so that it keeps or releases its lock at a retry.
func (l *ledger) pushLocked(c *queue.Client, random *rand.Rand, o queue.Options) error {
	o.JID, o.Extra = queue.NewJID(), map[string]any{"tally": true}
	class, args := "Test::Locked", []any{random.IntN(20)}
	if random.IntN(4) == 0 {
		class, args, o.Retry = "Test::Flaky", []any{1}, queue.RetryMax(5)
	}
	if random.IntN(2) == 0 {
		o.At = time.Now().Add(time.Duration(random.IntN(3000)) * time.Millisecond)
	}
	kinds := []unique.Kind{unique.UntilDone, unique.WhileRunning, unique.UntilStartWhileRunning, ""}
	lock := lockOf{kinds[random.IntN(len(kinds))], fmt.Sprint(random.IntN(lockKeys))}
	if lock.kind == "" || lock.kind == unique.UntilDone && random.IntN(2) == 0 {
		o.Expires = time.Duration(1+random.IntN(1000)) * time.Millisecond
	}
	ctx := context.Background()
	if lock.kind != "" {
		l.mu.Lock()
		l.claims.locks[o.JID] = lock
		l.mu.Unlock()
		ctx = unique.With(ctx, unique.Lock{Kind: lock.kind, Key: string(lock.kind) + lock.key,
			Args: func([]any) []any { return nil }, OnConflict: unique.Refuse})
	}
	return l.push(ctx, c, class, args, o)
}

// refused counts a push that another job's lock has refused.
func (l *ledger) refused(err error) bool {
	var held *unique.HeldError
	if !errors.As(err, &held) {
		return false
	}
	l.mu.Lock()
	l.claims.refused++
	l.mu.Unlock()
	return true
}

// comeBack notes that a job goes from the dead set to its queue.
func (l *ledger) comeBack(id string) {
	l.mu.Lock()
	l.claims.back[id] = true
	l.mu.Unlock()
}

// expired reports whether a job was too late to run.
func expired(t testing.TB, s *harness.Site, id string) bool {
	yes, err := s.Raw.HExists(context.Background(), testjobs.TallyKey, id+" expire").Result()
	if err != nil {
		t.Error(err)
	}
	return yes
}

// readTally reads how often the effects of each job were carried out.
func (l *ledger) readTally(t testing.TB, s *harness.Site) {
	t.Helper()
	all, err := s.Raw.HGetAll(context.Background(), testjobs.TallyKey).Result()
	if err != nil {
		t.Fatal(err)
	}
	for field, n := range all {
		id, event, _ := strings.Cut(field, " ")
		if l.claims.tally[id] == nil {
			l.claims.tally[id] = map[string]int{}
		}
		l.claims.tally[id][event], _ = strconv.Atoi(n)
	}
}

// checkHolders checks all locks at one moment: each has one holder, which is alive, and in flight
// if the lock is one of jobs that run; and each living job that must hold its lock holds it.
func (l *ledger) checkHolders(t *testing.T, places, holders map[string][]string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	holds := map[string]bool{}
	for digest, ids := range holders {
		if len(ids) != 1 {
			t.Errorf("the lock %s is held by %v, want one job", digest, ids)
		}
		for _, id := range ids {
			in := places[id]
			runs := strings.HasSuffix(digest, ":RUN")
			if len(in) == 0 || in[0] == "dead" || runs && in[0] != "in flight" {
				t.Errorf("the lock %s is held by a job that is in %v: %s", digest, in,
					l.history(id))
			}
			holds[id] = holds[id] || !runs
		}
	}
	for id, in := range places {
		if l.claims.locks[id].kind == unique.UntilDone && in[0] != "dead" && !l.claims.back[id] &&
			!holds[id] {
			t.Errorf("a job in %v does not hold its lock: %s", in, l.history(id))
		}
	}
}

// checkLocks checks what jobs with locks, and those that expire, have left at the end of the run.
func (r *run) checkLocks() {
	r.Helper()
	ctx := context.Background()
	for _, pattern := range []string{"uniquejobs:*", "kyu:lock:*"} {
		for _, key := range r.Raw.Keys(ctx, pattern).Val() {
			r.complain("lock", "a key of a lock is left: %s, %v", key,
				r.Raw.HGetAll(ctx, key).Val())
		}
	}
	expired := 0
	for id, events := range r.ledger.claims.tally {
		r.checkTally(id, events)
		expired += events["expire"]
	}
	runs := r.checkOverlaps()
	counted, _ := r.Raw.Get(ctx, "kyu:stat:expired").Int()
	if bound := r.bound(); counted > expired+bound {
		r.complain("counted", "%d jobs are counted as expired, want at most %d and the %d that "+
			"the faults allow", counted, expired, bound)
	}
	r.Logf("%d jobs with locks, %d runs of those that must not overlap; %d expired, and "+
		"%d are counted in Redis", len(r.ledger.claims.locks), runs, expired, counted)
}

// bound returns how many jobs may end twice.
func (r *run) bound() (n int) {
	for _, i := range r.instances {
		n += i.bound()
	}
	return n
}

// checkTally checks that the effects of the end of a job were carried out once. A job that came
// back from the dead set has a second end.
func (r *run) checkTally(id string, events map[string]int) {
	r.Helper()
	n := 0
	for _, count := range events {
		n += count
	}
	if back := r.ledger.claims.back[id]; n != 1 && !back {
		r.complain("effects", "effects of the ends %v, want one: %s", events, r.ledger.history(id))
	}
	if events["expire"] == 0 || r.ledger.ends[id] == 0 {
		return
	}
	for _, name := range r.ledger.by(id, 'e') { // it ended, and was not settled before it came back
		if r.byName[name].bound() > 0 {
			return
		}
	}
	r.complain("expired", "ended, and expired, and no fault explains it: %s", r.ledger.history(id))
}

// span is a run of a job with a lock.
type span struct {
	id, process string
	from, to    int64 // milliseconds after the first event
}

// checkOverlaps complains about two runs at one time that share a lock, unless a process has lost
// its lease: its handlers get to know that by its own clock, and may end a little later. It returns
// the number of runs.
func (r *run) checkOverlaps() (runs int) {
	r.Helper()
	shared := map[lockOf][]span{}
	for id, lock := range r.ledger.claims.locks {
		if lock.kind != unique.UntilDone {
			shared[lock] = append(shared[lock], r.spans(id)...)
		}
	}
	for lock, list := range shared {
		runs += len(list)
		slices.SortFunc(list, func(a, b span) int { return cmp.Compare(a.from, b.from) })
		for i, a := range list {
			for _, b := range list[i+1:] {
				if b.from >= a.to || a.id == b.id || r.byName[a.process].lapses() > 0 ||
					r.byName[b.process].lapses() > 0 {
					continue
				}
				r.complain("overlap", "two runs with the lock %v at one time: %s; %s\n%s", lock,
					r.ledger.history(a.id), r.ledger.history(b.id),
					r.histories([]string{a.process, b.process}))
			}
		}
	}
	return runs
}

// spans returns the runs of a job. A run that did not end ends with its process. A job of the class
// Test::Flaky writes no line when it fails, at once after its start.
func (r *run) spans(id string) (list []span) {
	l := r.ledger
	open := map[uint16]int{} // by process: the index of its run in list
	for _, e := range l.events.of[id] {
		switch at, is := open[e.by]; {
		case e.what == 's':
			i := r.byName[l.events.names[e.by]]
			to := int64(1) << 62
			if !i.over.IsZero() {
				to = i.over.UnixMilli() - l.events.began
			}
			if l.class[id] == "Test::Flaky" {
				to = int64(e.at)
			}
			open[e.by] = len(list)
			list = append(list, span{id, i.name, int64(e.at), to})
		case is && (e.what == 'e' || e.what == 'c'):
			list[at].to = int64(e.at)
		}
	}
	return list
}
