package model

import (
	"slices"
	"testing"

	"github.com/kyujobs/kyu/queue"
)

// mutation is a design without a safeguard, and what the search finds then.
type mutation struct {
	Design
	in    string // an arrangement
	finds []violation
}

func TestSafeguard(t *testing.T) {
	t.Run("is needed: without it the search finds the fault", func(t *testing.T) {
		for _, m := range mutations {
			t.Run(m.Name, func(t *testing.T) {
				t.Parallel()
				findFault(t, m)
			})
		}
	})
}

func findFault(t *testing.T, m mutation) {
	i := slices.IndexFunc(arrangements, func(a Arrangement) bool { return a.Name == m.in })
	a := arrangements[i]
	if m.OpenUntold { // a suspect without a turn has no part in it, and makes the search longer
		a.Besides = 0
	}
	r := Search(m.Design, a, 2_000_000, true)
	if !slices.ContainsFunc(m.finds, func(v violation) bool { return r.Found[v] > 0 }) {
		t.Fatalf("the search finds nothing in %d states, %d deep: %v %s", r.States, r.Depth,
			r.Found, r.First)
	}
	t.Logf("found after %d states:\n%s", r.States, r.First)
}

var mutations = []mutation{
	{Design{Name: "promotion in two commands", PopThenPush: true}, "retries",
		[]violation{lost}},
	{Design{Name: "fetch that pops, then moves in flight", PopThenKeep: true}, "lost replies",
		[]violation{lost}},
	{Design{Name: "BRPOP for doorbells", NoLanding: true}, "bells", []violation{lost}},
	{Design{Name: "retry in two commands", RetryInTwo: true}, "lost replies",
		[]violation{lost}},
	{Design{Name: "settle without a check of the token", NoToken: true}, "renewal",
		[]violation{foreign}},
	{Design{Name: "tokens from 1 for each identity, and acks under the present one",
		TokenPerOwner: true}, "renewal", []violation{foreign, unheld, lost}},
	{Design{Name: "tokens used again", TokenAgain: true}, "lost replies", []violation{foreign,
		lost, knownTwice}},
	{Design{Name: "no audit", NoAudit: true}, "lost replies", []violation{stranded}},
	{Design{Name: "an audit per capsule", AuditPerLedger: true}, "all",
		[]violation{knownTwice, unheld, twice}},
	{Design{Name: "no reclaiming", NoReclaim: true}, "lost replies", []violation{stranded}},
	{Design{Name: "landing lists not reclaimed", NoLandingRec: true}, "bells",
		[]violation{stranded}},
	{Design{Name: "identities forgotten at once", ForgetAtOnce: true}, "all",
		[]violation{stranded}},
	{Design{Name: "fetch without a check of the lease", NoLeaseCheck: true}, "renewal",
		[]violation{stranded, counted}},
	{Design{Name: "adoption without a lease", AdoptUnleased: true}, "bells that ring late",
		[]violation{counted, blamed, stranded}},
	{Design{Name: "lease given up before settling", LeaveEarly: true}, "stop", []violation{left,
		twice}},
	{Design{Name: "crash counted in a command of its own", CountTwice: true}, "suspects",
		[]violation{counted}},
	{Design{Name: "gate opened before the mark is gone", OpenMarked: true}, "gate",
		[]violation{blamed}},
	{Design{Name: "late marks", LateMarks: true}, "gate", []violation{blamed}},
	{Design{Name: "gate opened without an answer when the lease lapses", OpenUntold: true},
		"gate for one", []violation{blamed}},
	{Design{Name: "crashes count for suspects that wait", WaitersCount: true}, "suspects",
		[]violation{blamed}},
	{Design{Name: "no guard of the lease by the own clock", NoGuard: true}, "renewal",
		[]violation{unheld}},
	{Design{Name: "lock and push in two commands", LockThenPush: true}, "locks until done",
		[]violation{orphaned}},
	{Design{Name: "a repeated push locks before it finds its marker", MarkerLast: true},
		"locks until done", []violation{orphaned}},
	{Design{Name: "start that claims without a check of the token", ClaimUnheld: true},
		"locks while running", []violation{orphaned}},
	{Design{Name: "start that claims its own lock without a check of the token",
		ClaimUnheld: true}, "locks until done", []violation{orphaned}},
	{Design{Name: "release without a check of the token", ReleaseStale: true},
		"locks while running", []violation{unlocked, overlapped}},
	{Design{Name: "late settlement that releases without a check of the token",
		ReleaseStale: true}, "locks until done", []violation{unlocked}},
	{Design{Name: "release without a check of the holder", ReleaseAny: true},
		"locks while running", []violation{unlocked, overlapped}},
	{Design{Name: "release in a second command", ReleaseInTwo: true}, "locks until done",
		[]violation{orphaned}},
	{Design{Name: "acks of a fetch for jobs with locks", AckEffects: true},
		"locks until done", []violation{orphaned}},
	{Design{Name: "reclaiming without release", Effects: except(queue.EventReclaim)},
		"locks while running", []violation{orphaned}},
	{Design{Name: "requeue without release", Effects: except(queue.EventRequeue)},
		"locks while running", []violation{orphaned}},
	{Design{Name: "poison without release", Effects: except(queue.EventPoison)},
		"locks of poison", []violation{orphaned}},
	{Design{Name: "death without release", Effects: except(queue.EventDead)},
		"locks until done", []violation{orphaned}},
	{Design{Name: "deletion without release", Effects: except(queue.EventDelete)},
		"locks until done", []violation{orphaned}},
	{Design{Name: "retry that releases", Effects: also(queue.EventRetry)},
		"locks until done", []violation{unlocked}},
	{Design{Name: "snooze that releases", Effects: also(queue.EventSnooze)},
		"locks until start and while running", []violation{unlocked}},
	{Design{Name: "start that gives its lock back first", GiveFirst: true},
		"locks until start and while running", []violation{unlocked}},
	{Design{Name: "reclaiming that releases", Effects: also(queue.EventReclaim)},
		"locks until done", []violation{unlocked}},
	{Design{Name: "release without listing the lane again", NoRelist: true}, "lanes",
		[]violation{unlisted}},
	{Design{Name: "requeue behind its lane", BehindLane: true}, "lanes", []violation{disordered}},
	{Design{Name: "sift without comparing the bytes", SiftBlind: true}, "lanes",
		[]violation{lost, doubled}},
	{Design{Name: "doorbell that delivers a job of a lane", BellDelivers: true}, "lanes",
		[]violation{leaked, disordered}},
	{Design{Name: "reclaiming without freeing places", KeepPlaces: true}, "lanes",
		[]violation{leaked}},
	{Design{Name: "no barrier at a list that is not sifted", NoBarrier: true},
		"lanes and a queue below", []violation{overtaken}},
	{Design{Name: "no ring after a release", NoRing: true}, "lanes that wake", []violation{slept}},
	{Design{Name: "ring that a busy process keeps", NoHandOn: true},
		"lanes that wake one of two", []violation{slept}},
	{Design{Name: "closed lanes that nobody looks for", ForgetClosed: true}, "lanes that wake",
		[]violation{slept}},
	{Design{Name: "lanes off with a job of a late doorbell", ForgetArrived: true},
		"lanes and drain", []violation{stranded}},
	{Design{Name: "no bounds of queues", NoBounds: true}, "floor", []violation{unbounded}},
}

// except returns the effects without those of an event.
func except(not queue.EffectEvent) func(Job, queue.EffectEvent) []Change {
	return func(j Job, e queue.EffectEvent) []Change {
		if e == not {
			return nil
		}
		return j.effects(e)
	}
}

// also returns the effects of a design that ends a job's hold of its lock at a further event.
func also(too queue.EffectEvent) func(Job, queue.EffectEvent) []Change {
	return func(j Job, e queue.EffectEvent) []Change {
		if e == too {
			e = queue.EventDone
		}
		return j.effects(e)
	}
}
