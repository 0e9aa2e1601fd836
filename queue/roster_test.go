package queue

import (
	"fmt"
	"slices"
	"testing"
)

func TestRosterTurn(t *testing.T) {
	for name, c := range map[string]struct {
		active []bool
		n      uint64
		want   []int
	}{
		"begins with the first":        {[]bool{true, true, true}, 0, []int{0, 1, 2}},
		"begins with the next":         {[]bool{true, true, true}, 1, []int{1, 2, 0}},
		"begins again":                 {[]bool{true, true, true}, 3, []int{0, 1, 2}},
		"leaves out a draining shard":  {[]bool{true, false, true}, 1, []int{2, 0}},
		"has one that is left":         {[]bool{false, false, true}, 7, []int{2}},
		"is empty if all are draining": {[]bool{false, false}, 7, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := &roster{names: make([]string, len(c.active)), active: c.active}
			if got := r.turn(c.n); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestRosterSettle(t *testing.T) {
	names := []string{"a", "b", "c"}
	// By affinity, the key o prefers a, then c, then b: see TestAffinity.
	x := home{key: "o"}
	ruled := home{key: "o", shard: "b"}
	for name, c := range map[string]struct {
		home   home
		active []bool
		at     int
		former []int
	}{
		"takes the best":                        {x, []bool{true, true, true}, 0, nil},
		"takes the second if the best drains":   {x, []bool{false, true, true}, 2, []int{0}},
		"takes the last, and names both others": {x, []bool{false, true, false}, 1, []int{0, 2}},
		"does not name a draining shard behind": {x, []bool{true, false, true}, 0, nil},
		"is nowhere if all drain": {x, []bool{false, false, false}, -1, []int{0, 1,
			2}},
		"obeys a rule": {ruled, []bool{true, true, true}, 1, nil},
		"goes by the key if the ruled one drains": {ruled, []bool{true, false, true}, 0, []int{1}},
		"names the ruled one and the better one": {ruled, []bool{false, false, true}, 2, []int{1,
			0}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &roster{names, c.active}
			at, former := r.settle(c.home)
			if at != c.at || !slices.Equal(former, c.former) {
				t.Errorf("%d %v, want %d %v", at, former, c.at, c.former)
			}
		})
	}
	t.Run("ignores a rule for a shard that is not there", func(t *testing.T) {
		r := &roster{names, []bool{true, true, true}}
		if at, _ := r.settle(home{key: "o", shard: "gone"}); at != 0 {
			t.Error(at)
		}
	})
}

func TestAffinity(t *testing.T) {
	t.Run("is the same in all versions", func(t *testing.T) {
		got := fmt.Sprintf("%x %x %x", rendezvousWeight("a", "o"), rendezvousWeight("b", "o"),
			rendezvousWeight("c", "o"))
		if want := "c10627a6e3fa62b5 40b940ddd0eb0cf3 411cb409df497574"; got != want {
			t.Errorf("%s, want %s: programs of two versions would place a key in two shards", got,
				want)
		}
	})
	names := []string{"a", "b", "c", "shard-1"}
	at := func(key string, active ...bool) int {
		i, _ := (&roster{names, active}).settle(home{key: key})
		return i
	}
	t.Run("spreads keys evenly", func(t *testing.T) {
		counts := make([]int, len(names))
		for i := range 40_000 {
			counts[at(fmt.Sprint(i), true, true, true, true)]++
		}
		if slices.Min(counts) < 9_500 || slices.Max(counts) > 10_500 {
			t.Error(counts)
		}
	})
	t.Run("moves only the keys of a shard that drains", func(t *testing.T) {
		for i := range 1000 {
			key := fmt.Sprint(i)
			before, after := at(key, true, true, true, true), at(key, true, false, true, true)
			if before != 1 && before != after {
				t.Fatalf("%s moved from %d to %d", key, before, after)
			}
		}
	})
}
