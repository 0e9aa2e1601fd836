package main

import (
	"slices"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
)

func TestDashboardOf(t *testing.T) {
	for name, x := range map[string]struct {
		vars map[string]string
		want []string
	}{
		"says nothing without variables": {},
		"makes one process of web processes and threads": {
			vars: map[string]string{"WEB_CONCURRENCY": "3", "MAX_THREADS": "5"},
			want: []string{"WEB_CONCURRENCY=3 and MAX_THREADS=5: one process, dashboard.service, " +
				"which uses all cores"}},
		"makes one process of web processes": {vars: map[string]string{"WEB_CONCURRENCY": "3"},
			want: []string{"WEB_CONCURRENCY=3: one process, dashboard.service, which uses all " +
				"cores"}},
		"needs no threads": {vars: map[string]string{"MAX_THREADS": "5"},
			want: []string{"MAX_THREADS=5: a request takes a goroutine and no thread"}},
		"makes units of streaming processes": {
			vars: map[string]string{"STREAMING_CLUSTER_NUM": "2",
				"STREAMING_API_BASE_URL": "wss://s.example"},
			want: []string{"STREAMING_CLUSTER_NUM=2: workerctl install-units --dashboard " +
				"--streams 2, each for 10,000 browsers",
				"STREAMING_API_BASE_URL=wss://s.example: Mastodon's; the dashboard needs another " +
					"address, in /etc/kyu/dashboard.env"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &call{env: &env.Reader{Lookup: func(key string) (string, bool) {
				v, ok := x.vars[key]
				return v, ok
			}}}
			if got := dashboardOf(c); !slices.Equal(got, x.want) {
				t.Errorf("%q, want %q", got, x.want)
			}
		})
	}
}

func TestPlanDashboard(t *testing.T) {
	s := withoutRedis(t)
	s.vars["STREAMING_CLUSTER_NUM"] = "2"
	t.Run("is a part of the plan", func(t *testing.T) {
		s.of(t).ok("Dashboard: not counted above\n  STREAMING_CLUSTER_NUM=2: workerctl "+
			"install-units --dashboard --streams 2", "plan")
	})
}
