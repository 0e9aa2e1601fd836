package starvation

import (
	"slices"
	"testing"
)

func TestPlayable(t *testing.T) {
	names := func(runtime string) (list []string) {
		for _, a := range playable(runtime) {
			list = append(list, a.Name)
		}
		return list
	}
	t.Run("Kyu plays all, and Sidekiq those without floors and lanes", func(t *testing.T) {
		if got := names("kyu"); len(got) != len(arrangements()) ||
			!slices.Contains(got, "floor") {
			t.Error(got)
		}
		if got := names("sidekiq"); slices.Contains(got, "floor") ||
			slices.Contains(got, "lanes") || len(got) != len(arrangements())-2 {
			t.Error(got)
		}
	})
	t.Run("--only chooses some, and may repeat them", func(t *testing.T) {
		o := Options{runtime: "kyu", only: []string{"lanes", "single", "lanes"}}
		list := o.arrangements()
		if len(list) != 3 || list[0].Name != "lanes" || list[1].Name != "single" {
			t.Errorf("%v", list)
		}
	})
	t.Run("all have the same number of threads", func(t *testing.T) {
		for _, a := range arrangements() {
			sum := 0
			for _, flags := range a.processes {
				sum += threadsOf(t, flags)
			}
			if sum != threads {
				t.Errorf("%s has %d", a.Name, sum)
			}
		}
	})
}

// threadsOf reads -c of flags.
func threadsOf(t *testing.T, flags []string) (n int) {
	t.Helper()
	i := slices.Index(flags, "-c")
	if i < 0 || i+1 == len(flags) {
		t.Fatalf("no -c in %v", flags)
	}
	for _, digit := range flags[i+1] {
		n = 10*n + int(digit-'0')
	}
	return n
}
