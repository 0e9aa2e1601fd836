package model

import (
	"flag"
	"slices"
	"testing"
)

var shardLimit = flag.Int("shardstates", 60_000,
	"the most states of the search of shards, over all arrangements")

var shardArrangements = []ShardArrangement{
	{Name: "order", Seats: 1, Trips: 1, Limit: 1, Jobs: []ShardJob{{0, 1, false}, {1, 0, false},
		{1, 2, false}}, ShardBudget: ShardBudget{Ticks: [3]int8{2, 1, 0}, Tokens: 40}},
	{Name: "seats", Seats: 2, Trips: 1, Limit: 2, Jobs: []ShardJob{{0, 0, false}, {1, 0, false},
		{0, 1, false}, {1, 1, false}}, ShardBudget: ShardBudget{Ticks: [3]int8{1, 0, 0},
		Lost: 1, Tokens: 40}},
	{Name: "first queues", Seats: 2, Trips: 1, Limit: 2, Jobs: []ShardJob{{0, 0, false},
		{0, 1, false}, {1, 2, false}}, ShardBudget: ShardBudget{Ticks: [3]int8{1, 0, 0},
		Tokens: 40}},
	{Name: "two trips", Seats: 32, Trips: 2, Limit: 16, Jobs: []ShardJob{{0, 1, false},
		{1, 2, false}, {0, 2, false}}, ShardBudget: ShardBudget{Ticks: [3]int8{2, 0, 0},
		Tokens: 200}},
	{Name: "silence", Seats: 1, Trips: 1, Limit: 1, Jobs: []ShardJob{{0, 1, false}, {1, 0, false}},
		ShardBudget: ShardBudget{Ticks: [3]int8{1, 0, 2}, Silent: 1, Lost: 1, Tokens: 40}},
	{Name: "leases", Seats: 2, Trips: 1, Limit: 2, Jobs: []ShardJob{{0, 0, false}, {1, 1, false}},
		ShardBudget: ShardBudget{Ticks: [3]int8{1, 0, 0}, Lapses: 2, Lost: 1, Tokens: 40}},
	{Name: "gate", Seats: 2, Trips: 1, Limit: 2, Jobs: []ShardJob{{0, 0, true}, {1, 0, false},
		{1, 1, false}}, ShardBudget: ShardBudget{Ticks: [3]int8{1, 0, 0}, Besides: 1, Lapses: 1,
		Tokens: 40}},
	{Name: "pause", Seats: 1, Trips: 1, Limit: 1, Jobs: []ShardJob{{0, 0, false}, {1, 1, false}},
		ShardBudget: ShardBudget{Ticks: [3]int8{2, 0, 0}, Pauses: 2, Tokens: 40}},
	{Name: "stop", Seats: 2, Trips: 1, Limit: 2, Jobs: []ShardJob{{0, 0, false}, {1, 1, false}},
		ShardBudget: ShardBudget{Ticks: [3]int8{1, 0, 0}, Stops: 1, Lost: 1, Silent: 1,
			Tokens: 40}},
	{Name: "no order", Seats: 1, Trips: 1, Limit: 1, Random: true, Jobs: []ShardJob{{0, 1, false},
		{1, 0, false}, {1, 2, false}}, ShardBudget: ShardBudget{Ticks: [3]int8{1, 1, 1},
		Silent: 1, Tokens: 40}},
}

func TestShards(t *testing.T) {
	t.Run("keep their promises in any order of events", func(t *testing.T) {
		states := 0
		for _, a := range shardArrangements {
			if *only != "" && *only != a.Name {
				continue
			}
			r := SearchShards(ShardDesign{}, a, *shardLimit/len(shardArrangements), fine)
			states += r.States
			t.Logf("%s: %d states, %d deep, all of them: %t", a.Name, r.States, r.Depth, r.Complete)
			if r.Violations() > 0 {
				t.Errorf("%s: %v\n%s", a.Name, r.Found, r.First)
			}
		}
		t.Logf("%d states of shards", states)
	})
}

// shardMutation is a design without a safeguard, and what the search finds then.
type shardMutation struct {
	ShardDesign
	in    string
	finds violation
}

var shardMutations = []shardMutation{
	{ShardDesign{Name: "figures of any age", StaleFigures: true}, "order", overtaken},
	{ShardDesign{Name: "no look beside the first queue", NoRefresh: true}, "order", slept},
	{ShardDesign{Name: "lower queues empty after a partial trip", BeyondPartial: true},
		"first queues", overtaken},
	{ShardDesign{Name: "doorbell of a lower queue that delivers", BellDelivers: true}, "order",
		overtaken},
	{ShardDesign{Name: "landed jobs that stay", NoPutBack: true}, "order", ignored},
	{ShardDesign{Name: "seats of its own for each shard", Apart: true}, "seats", crowded},
	{ShardDesign{Name: "gates of their own", Apart: true}, "gate", blamed},
	{ShardDesign{Name: "silent shard that is not left out", NeverLate: true}, "silence", ignored},
	{ShardDesign{Name: "silent shard that keeps seats", KeepSeats: true}, "silence", ignored},
	{ShardDesign{Name: "shard left out for ever", NoProbe: true}, "silence", ignored},
	{ShardDesign{Name: "results sent to the other shard", WrongShard: true}, "seats", foreign},
	{ShardDesign{Name: "one lost lease that ends all jobs", LoseAll: true}, "leases", unheld},
	{ShardDesign{Name: "lease given up before settling", LeaveEarly: true}, "stop", left},
	{ShardDesign{Name: "intake that ends in one shard", QuietOne: true}, "stop", unheld},
}

func TestShardSafeguard(t *testing.T) {
	t.Run("is needed: without it the search finds the fault", func(t *testing.T) {
		for _, m := range shardMutations {
			t.Run(m.Name, func(t *testing.T) {
				at := slices.IndexFunc(shardArrangements, func(a ShardArrangement) bool {
					return a.Name == m.in
				})
				r := SearchShards(m.ShardDesign, shardArrangements[at], 60_000, m.finds)
				if r.Found[m.finds] == 0 {
					t.Fatalf("the search finds nothing in %d states: %v %s", r.States, r.Found,
						r.First)
				}
				t.Logf("found after %d states:\n%s", r.States, r.First)
			})
		}
	})
}
