// Package faults proves that nothing is lost: real worker processes on real
// servers, faults from a seed, and a ledger on disk against which every run is
// checked. Its tests are the rows of the scorecard in docs/reliability.md.
//
// In `make test` each runs a few times; with -size full as often as its row asks
// (make faults, make scorecard), and the long run for hours (make soak).
package faults
