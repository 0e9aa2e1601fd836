// Package faults tests that no fault loses a job. Its tests start real servers and worker
// processes, cause faults in an order that a seed decides, and compare all jobs with a ledger on
// disk. Each test is a row of the scorecard in docs/reliability.md.
//
// `make test` causes each fault a few times. -size full causes it as often as its row says (make
// scorecard, make faults), and -size soak runs the long run for hours (make soak).
package faults
