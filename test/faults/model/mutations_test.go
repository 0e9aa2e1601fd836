package model

import (
	"slices"
	"testing"
)

// Each safeguard is there for a reason: without it the search finds what it is there for.
func TestWithoutASafeguardTheSearchFindsTheFault(t *testing.T) {
	for _, c := range []struct {
		Design
		in    string // an arrangement
		finds []violation
	}{
		{Design{Name: "promotion in two commands", PopThenPush: true}, "retries",
			[]violation{lost}},
		{Design{Name: "fetch that pops, then writes down", PopThenKeep: true}, "lost replies",
			[]violation{lost}},
		{Design{Name: "BRPOP for doorbells", NoLanding: true}, "bells", []violation{lost}},
		{Design{Name: "retry in two commands", RetryInTwo: true}, "lost replies",
			[]violation{lost}},
		{Design{Name: "settle without the token's check", NoToken: true}, "renewal",
			[]violation{foreign}},
		{Design{Name: "tokens from 1 for each identity, and acks under the present one",
			TokenPerOwner: true}, "renewal", []violation{foreign, unheld, lost}},
		{Design{Name: "tokens used again", TokenAgain: true}, "lost replies", []violation{foreign,
			lost, known2}},
		{Design{Name: "no audit", NoAudit: true}, "lost replies", []violation{stranded}},
		{Design{Name: "audit per capsule", AuditPerLedger: true}, "all", []violation{known2, unheld,
			twice}},
		{Design{Name: "no reclaiming", NoReclaim: true}, "lost replies", []violation{stranded}},
		{Design{Name: "landing lists not reclaimed", NoLandingRec: true}, "bells",
			[]violation{stranded}},
		{Design{Name: "identities forgotten at once", ForgetAtOnce: true}, "bells",
			[]violation{stranded}},
		{Design{Name: "fetch without asking for the lease", NoLeaseCheck: true}, "renewal",
			[]violation{stranded, counted}},
		{Design{Name: "adopt without lease", AdoptUnleased: true}, "bells that ring late",
			[]violation{counted, innocent, stranded}},
		{Design{Name: "lease given up before settling", LeaveEarly: true}, "stop", []violation{left,
			twice}},
		{Design{Name: "crash counted in a command of its own", CountTwice: true}, "suspects",
			[]violation{counted}},
		{Design{Name: "gate opened before the mark is gone", OpenMarked: true}, "gate",
			[]violation{innocent}},
		{Design{Name: "marks that come late", LateMarks: true}, "gate", []violation{innocent}},
		{Design{Name: "gate opened when the lease lapses, without an answer", OpenUntold: true},
			"gate for one", []violation{innocent}},
		{Design{Name: "crashes count for suspects that wait", WaitersCount: true}, "suspects",
			[]violation{innocent}},
		{Design{Name: "no local guard of the lease", NoGuard: true}, "renewal",
			[]violation{unheld}},
	} {
		t.Run(c.Name, func(t *testing.T) {
			i := slices.IndexFunc(arrangements, func(a Arrangement) bool { return a.Name == c.in })
			r := Search(c.Design, arrangements[i], 2_000_000, true)
			found := slices.ContainsFunc(c.finds, func(v violation) bool { return r.Found[v] > 0 })
			if !found {
				t.Fatalf("nothing is found in %d states, %d deep: %v %s", r.States, r.Depth,
					r.Found, r.First)
			}
			t.Logf("found after %d states:\n%s", r.States, r.First)
		})
	}
}
