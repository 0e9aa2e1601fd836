package model

import (
	"flag"
	"hash/maphash"
	"testing"
)

var limit = flag.Int("states", 1_200_000, "that the search of the protocol visits at most")

func hasher() func(any) uint64 {
	seed := maphash.MakeSeed()
	return func(s any) uint64 { return maphash.Comparable(seed, s.(state)) }
}

// all faults at once: too many orders to see all of them in a test.
var harsh = Budget{Crashes: 2, Pauses: 1, Lost: 1, Restarts: 1, Runs: 2, Fails: 2, Tokens: 3}

func TestNoOrderOfFaultsLosesOrStrandsOrDoublesAJob(t *testing.T) {
	r := Search(Design{Name: "Kyu"}, harsh, *limit, false, hasher())
	t.Logf("row 30: %d states, all of them: %t; lost %d, doubled %d, stranded %d, foreign removals %d, double ends %d",
		r.States, r.Complete, r.Lost, r.Doubled, r.Stranded, r.Foreign, r.Twice)
	if r.States < 1_000_000 {
		t.Errorf("only %d states", r.States)
	}
	if r.Violations() > 0 {
		t.Errorf("%+v", r)
	}
}

// Each safeguard is there for a reason: without it the search finds what it is there
// for.
func TestWithoutASafeguardTheModelFindsTheLoss(t *testing.T) {
	for _, c := range []struct {
		Design
		finds func(Result) int
	}{
		{Design{Name: "promotion in two commands", PopThenPush: true}, func(r Result) int { return r.Lost }},
		{Design{Name: "fetch that pops, then writes down", PopThenKeep: true}, func(r Result) int { return r.Lost }},
		{Design{Name: "BRPOP for doorbells", NoLanding: true}, func(r Result) int { return r.Lost }},
		{Design{Name: "retry in two commands", RetryInTwo: true}, func(r Result) int { return r.Lost }},
		{Design{Name: "no token", NoToken: true}, func(r Result) int { return r.Foreign }},
		{Design{Name: "no audit", NoAudit: true}, func(r Result) int { return r.Stranded }},
		{Design{Name: "no reclaiming", NoReclaim: true}, func(r Result) int { return r.Stranded }},
		{Design{Name: "landing lists not reclaimed", NoLandingRec: true}, func(r Result) int { return r.Stranded }},
		{Design{Name: "identities forgotten at once", BuryAtOnce: true}, func(r Result) int { return r.Stranded }},
		{Design{Name: "fetch without asking for the lease", NoLeaseCheck: true}, func(r Result) int { return r.Stranded }},
	} {
		t.Run(c.Name, func(t *testing.T) {
			r := Search(c.Design, harsh, 3_000_000, true, hasher())
			if c.finds(r) == 0 {
				t.Errorf("nothing is found in %d states: %+v", r.States, r)
			}
			t.Logf("found after %d states: %+v", r.States, r)
		})
	}
}
