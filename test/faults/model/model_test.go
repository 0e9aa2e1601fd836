package model

import (
	"flag"
	"testing"

	"github.com/kyujobs/kyu/internal/protocol"
)

var limit = flag.Int("states", 520_000,
	"the most states that the search visits, over all arrangements")

var only = flag.String("arrangement", "", "searches only the arrangement of this name")

// shared returns two capsules that share queue x. The first also serves y.
func shared(seats, trips int) []protocol.Capsule {
	return []protocol.Capsule{{Queues: []int{0, 1}, Seats: seats, Trips: trips}, {Queues: []int{0},
		Seats: 1}}
}

// single returns a capsule that serves queue x.
func single(seats int) []protocol.Capsule {
	return []protocol.Capsule{{Queues: []int{0}, Seats: seats}}
}

// both returns a capsule that serves queues x and y.
func both(seats int) []protocol.Capsule {
	return []protocol.Capsule{{Queues: []int{0, 1}, Seats: seats, Trips: 1}}
}

// floored returns a capsule that serves queues x and y. Half of the jobs that it takes are of y,
// and at most one of these runs.
func floored(seats, trips int) []protocol.Capsule {
	return []protocol.Capsule{{Queues: []int{0, 1}, Seats: seats, Trips: trips,
		Floors: []protocol.Floor{{Queue: 1, Name: "y", Share: 500, Max: 1}}}}
}

var arrangements = []Arrangement{
	{Name: "lost replies", Capsules: shared(2, 1), Limit: 2, Queue: [jobs]int8{0, 1},
		Budget: Budget{Lost: 3, Crashes: 1, Tokens: 8, NoBells: true, Refused: 1, Fails: 2}},
	{Name: "bells", Capsules: shared(1, 1), Limit: 1, Queue: [jobs]int8{0, 0},
		Budget: Budget{Lost: 2, Lapses: 1, Crashes: 1, Restarts: 1, Tokens: 10}},
	{Name: "bells that ring late", Capsules: shared(1, 1), Limit: 1, Queue: [jobs]int8{0, 0},
		Times:  3,
		Budget: Budget{Lost: 1, Lapses: 2, Crashes: 1, Tokens: 9}},
	{Name: "two bells", Capsules: shared(1, 1), Limit: 1, Queue: [jobs]int8{0, 1},
		Budget: Budget{Lost: 2, Lapses: 1, Crashes: 1, Tokens: 12}},
	{Name: "renewal", Capsules: shared(1, 1), Limit: 1, Queue: [jobs]int8{0, 0},
		Budget: Budget{Lost: 2, Lapses: 2, Tokens: 8, NoBells: true, Fails: 1}},
	{Name: "poison", Capsules: shared(2, 1), Limit: 2, Queue: [jobs]int8{0, 0}, Poison: true,
		Times:  2,
		Budget: Budget{Crashes: 2, Lost: 1, Lapses: 1, Tokens: 6, NoBells: true, Besides: 2}},
	{Name: "retries", Capsules: shared(1, 1), Limit: 1, Queue: [jobs]int8{0, 1},
		Budget: Budget{Crashes: 1, Lost: 1, Tokens: 6, NoBells: true, Fails: 2}},
	{Name: "gate", Capsules: []protocol.Capsule{{Queues: []int{0}, Seats: 2}}, Limit: 2,
		Queue: [jobs]int8{0, 0}, Crashed: [jobs]int8{1, 1}, Poison: true, Times: 2,
		Budget: Budget{Crashes: 1, Marks: 2, Lapses: 1, Tokens: 3, NoBells: true, Besides: 2}},
	{Name: "gate for one", Capsules: []protocol.Capsule{{Queues: []int{0}, Seats: 2}}, Limit: 2,
		Queue: [jobs]int8{0, 0}, Crashed: [jobs]int8{1, 0}, Poison: true, Times: 2,
		Budget: Budget{Crashes: 1, Marks: 2, Lapses: 1, Tokens: 3, NoBells: true, Besides: 2}},
	{Name: "suspects", Capsules: shared(2, 1), Limit: 2, Queue: [jobs]int8{0, 0}, Times: 2,
		Budget: Budget{Crashes: 3, Lapses: 1, Tokens: 8, NoBells: true, Besides: 1, Fails: 1}},
	{Name: "stop", Capsules: shared(2, 1), Limit: 2, Queue: [jobs]int8{0, 1},
		Budget: Budget{Stops: 2, Lost: 2, Lapses: 1, Tokens: 10, Refused: 1, Fails: 1}},
	{Name: "two trips", Capsules: shared(32, 2), Limit: 16, Queue: [jobs]int8{0, 1},
		Budget: Budget{Lost: 2, Lapses: 1, Crashes: 1, Tokens: 84}},
	{Name: "locks until done", Capsules: single(2), Limit: 1, Queue: [jobs]int8{0, 0},
		Lock: [jobs]Lock{UntilDone, UntilDone},
		Budget: Budget{Lost: 1, Lapses: 1, Crashes: 1, Fails: 2, Deletes: 1, Repeats: 1, Tokens: 4,
			NoBells: true}},
	{Name: "locks while running", Capsules: single(2), Limit: 2, Queue: [jobs]int8{0, 0},
		Lock: [jobs]Lock{WhileRunning, WhileRunning},
		Budget: Budget{Lost: 1, Lapses: 1, Crashes: 1, Fails: 1, Abandons: 1, Tokens: 6,
			NoBells: true}},
	{Name: "locks until start", Capsules: single(2), Limit: 2, Queue: [jobs]int8{0, 0},
		Lock: [jobs]Lock{UntilStartWhileRunning, UntilStart},
		Budget: Budget{Lost: 1, Lapses: 1, Crashes: 1, Fails: 2, Deletes: 1, Tokens: 6,
			NoBells: true}},
	{Name: "locks until start and while running", Capsules: single(2), Limit: 1,
		Queue:  [jobs]int8{0, 0},
		Lock:   [jobs]Lock{UntilStartWhileRunning, UntilStartWhileRunning},
		Budget: Budget{Lost: 1, Crashes: 1, Fails: 2, Tokens: 6, NoBells: true}},
	{Name: "locks of poison", Capsules: single(1), Limit: 1, Queue: [jobs]int8{0, 0}, Times: 1,
		Lock:   [jobs]Lock{WhileRunning, UntilDone},
		Budget: Budget{Lapses: 1, Crashes: 2, Stops: 1, Deletes: 1, Tokens: 6}},
	{Name: "floor", Capsules: floored(2, 1), Limit: 2, Queue: [jobs]int8{1, 1},
		Budget: Budget{Lost: 1, Lapses: 1, Crashes: 1, Refused: 1, Fails: 1, Tokens: 12}},
	{Name: "floor and two trips", Capsules: floored(32, 2), Limit: 16, Queue: [jobs]int8{1, 1},
		Budget: Budget{Lost: 1, Lapses: 1, Crashes: 1, Tokens: 84}},
	{Name: "lanes", Capsules: both(1), Limit: 2, Jobs: 3, Queue: [jobs]int8{0, 0, 0}, Lanes: true,
		Lane:   [jobs]int8{1, 1, 2},
		Budget: Budget{Lost: 1, Lapses: 1, Crashes: 1, Fails: 1, Closes: 1, Tokens: 14}},
	{Name: "lanes that wake", Capsules: both(2), Limit: 2, Queue: [jobs]int8{0, 0}, Lanes: true,
		Lane: [jobs]int8{1, 1}, Parked: true, Asleep: true,
		Budget: Budget{Stops: 1, Closes: 1, Fails: 2, Tokens: 12}},
	{Name: "lanes that wake one of two", Capsules: both(1), Limit: 1, Queue: [jobs]int8{0, 1},
		Lanes: true, Lane: [jobs]int8{1, 0}, Asleep: true, Budget: Budget{Stops: 1, Tokens: 8}},
	{Name: "lanes and a queue below", Capsules: both(2), Limit: 2, Jobs: 3,
		Queue: [jobs]int8{0, 0, 1}, Lanes: true, Lane: [jobs]int8{1, 1, 0},
		Budget: Budget{Lost: 1, Crashes: 1, Fails: 1, Stops: 1, Tokens: 14}},
	{Name: "lanes and drain", Capsules: both(1), Limit: 2, Jobs: 3, Queue: [jobs]int8{0, 0, 0},
		Lanes: true, Lane: [jobs]int8{1, 1, 2}, Asleep: true,
		Budget: Budget{Lost: 1, Crashes: 1, Drains: 1, Sets: 1, Tokens: 12}},
	{Name: "all", Capsules: shared(2, 1), Limit: 2, Queue: [jobs]int8{0, 0}, Times: 2,
		Budget: Budget{Lost: 2, Lapses: 2, Crashes: 2, Restarts: 1, Stops: 1, Refused: 1,
			Besides: 1, Fails: 2, Tokens: 14}},
}

func TestProtocol(t *testing.T) {
	t.Run("loses, strands and doubles no job in any order of events", searchAll)
}

func searchAll(t *testing.T) {
	states, violations := 0, 0
	for _, a := range arrangements {
		if *only != "" && *only != a.Name {
			continue
		}
		r := Search(Design{Name: "Kyu"}, a, *limit/len(arrangements), false)
		states, violations = states+r.States, violations+r.Violations()
		t.Logf("%s: %d states, %d deep, all of them: %t; %v", a.Name, r.States, r.Depth, r.Complete,
			r.Found)
		if r.Violations() > 0 {
			t.Errorf("%s:\n%s", a.Name, r.First)
		}
	}
	t.Logf("row 30: %d states, %d violations", states, violations)
}
