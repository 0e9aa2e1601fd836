package main

import (
	"slices"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
)

func TestOtherPools(t *testing.T) {
	for name, x := range map[string]struct {
		flags otherPools
		vars  map[string]string
		want  []pool
	}{
		"are none without flags and variables": {},
		"are those of the flags": {flags: otherPools{"2x5", "1x10"},
			want: []pool{{"web 2 x 5", 10}, {"streaming 1 x 10", 10}}},
		"come from the variables of the web": {
			vars: map[string]string{"WEB_CONCURRENCY": "3", "MAX_THREADS": "7"},
			want: []pool{{"web 3 x 7", 21}}},
		"have at least five connections for a web process": {
			vars: map[string]string{"WEB_CONCURRENCY": "2"}, want: []pool{{"web 2 x 5", 10}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &call{env: &env.Reader{Lookup: func(key string) (string, bool) {
				v, ok := x.vars[key]
				return v, ok
			}}}
			if got, err := x.flags.pools(c); err != nil || !slices.Equal(got, x.want) {
				t.Errorf("%v %v, want %v", got, err, x.want)
			}
		})
	}
}
