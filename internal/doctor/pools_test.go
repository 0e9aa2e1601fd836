package doctor

import (
	"slices"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
)

func TestOthers(t *testing.T) {
	for name, x := range map[string]struct {
		flags Others
		vars  map[string]string
		want  []Pool
	}{
		"are none without flags and variables": {},
		"are those of the flags": {flags: Others{Web: "2x5", Streaming: "1x10"},
			want: []Pool{{"web 2 x 5", 10}, {"streaming 1 x 10", 10}}},
		"come from the variables of the web": {
			vars: map[string]string{"WEB_CONCURRENCY": "3", "MAX_THREADS": "7"},
			want: []Pool{{"web 3 x 7", 21}}},
		"have Mastodon's threads where only the processes are set": {
			vars: map[string]string{"WEB_CONCURRENCY": "3"}, want: []Pool{{"web 3 x 5", 15}}},
		"have Mastodon's processes where only the threads are set": {
			vars: map[string]string{"MAX_THREADS": "8"}, want: []Pool{{"web 2 x 8", 16}}},
		"have no more connections than threads": {
			vars: map[string]string{"MAX_THREADS": "5", "DB_POOL": "25"},
			want: []Pool{{"web 2 x 5", 10}}},
		"have no more connections than the pool": {
			vars: map[string]string{"MAX_THREADS": "25", "DB_POOL": "5"},
			want: []Pool{{"web 2 x 5", 10}}},
		"come from the variables of streaming": {
			vars: map[string]string{"STREAMING_CLUSTER_NUM": "2"},
			want: []Pool{{"streaming 2 x 10", 20}}},
		"have the pool of a streaming process": {
			vars: map[string]string{"STREAMING_CLUSTER_NUM": "2", "DB_POOL": "15"},
			want: []Pool{{"streaming 2 x 15", 30}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &env.Reader{Lookup: func(key string) (string, bool) {
				v, ok := x.vars[key]
				return v, ok
			}}
			if got, err := x.flags.Or(r).Pools(); err != nil || !slices.Equal(got, x.want) {
				t.Errorf("%v %v, want %v", got, err, x.want)
			}
		})
	}
}
