package model

import (
	"slices"
	"testing"
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
}
