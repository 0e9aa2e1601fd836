package main

import (
	"testing"
	"time"
)

func TestReadLoads(t *testing.T) {
	t.Run("begins with the standard", func(t *testing.T) {
		list, err := readLoads(standard, "", "")
		if err != nil || len(list) != 4 || list[1] != standard[1] {
			t.Errorf("%v %v", list, err)
		}
	})
	t.Run("changes the queues that are named, and adds new ones", func(t *testing.T) {
		list, err := readLoads(standard, "push=25,new=3", "new=2s")
		if err != nil || len(list) != 5 || list[1] != (load{"push", 25, 500 * time.Millisecond}) ||
			list[4] != (load{"new", 3, 2 * time.Second}) || standard[1].Rate != 13 {
			t.Errorf("%v %v", list, err)
		}
	})
	t.Run("refuses numbers that are none", func(t *testing.T) {
		for _, x := range [][2]string{{"push=fast", ""}, {"push=-1", ""}, {"push=Inf", ""},
			{"a b=1", "x"}, {"", "push=1"}, {"", "push=0s"}, {"=1", ""}} {
			if list, err := readLoads(standard, x[0], x[1]); err == nil {
				t.Errorf("%q: %v", x, list)
			}
		}
	})
}

func TestSlots(t *testing.T) {
	if got := (load{"push", 25, 400 * time.Millisecond}).slots(0.5); got != 20 {
		t.Errorf("%v threads, want 20", got)
	}
}
