package main

import (
	"encoding/json"
	"testing"
)

func TestPlan(t *testing.T) {
	s := withoutRedis(t)
	t.Run("shows its arithmetic", func(t *testing.T) {
		s.of(t).ok("13 x 0.5 s / 0.7 = 9.3", "plan")
		s.of(t).ok("25 x 0.4 s / 0.5 = 20.0",
			"plan --rate push=25 --mean push=400ms --utilisation 0.5")
	})
	t.Run("adds the connections of web and streaming", func(t *testing.T) {
		s.of(t).ok("+ web 2 x 5 = 10 + streaming 1 x 10 = 10, in all",
			"plan --web 2x5 --streaming 1x10")
	})
	t.Run("says by how much it does not fit", func(t *testing.T) {
		s.of(t).ok("that is 17 too many", "plan --rate push=100 --web 2x5")
	})
	t.Run("sizes PgBouncer", func(t *testing.T) {
		s.of(t).ok("default_pool_size = 87, max_client_conn = 150",
			"plan --rate push=100 --web 2x5 --pooler")
		s.of(t).ok("default_pool_size = 87\nmax_client_conn = 150",
			"plan --rate push=100 --web 2x5 --pooler --pgbouncer-ini")
	})
	t.Run("splits a queue over processes of 50 threads", func(t *testing.T) {
		s.of(t).ok("--split default=5,push=36,push-2=36,mailers=5,pull=12",
			"plan --rate push=100 --units")
	})
	t.Run("prints JSON with the names of its parts", func(t *testing.T) {
		var got struct {
			Queues []struct {
				Queue   string
				Rate    float64 `json:"jobs_per_second"`
				Mean    float64 `json:"mean_seconds"`
				Needed  float64 `json:"threads_needed"`
				Threads int
			}
			Clients int `json:"all_connections"`
			Others  []struct {
				Owner       string
				Connections int
			}
		}
		text := s.of(t).ok("", "plan --json --web 2x5")
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Queues) != 4 ||
			got.Queues[1].Queue != "push" || got.Queues[1].Rate != 13 ||
			got.Queues[1].Threads != 10 || got.Queues[1].Mean != 0.5 ||
			got.Queues[1].Needed < 9 || got.Clients != 42 || len(got.Others) != 1 ||
			got.Others[0].Connections != 10 {
			t.Errorf("%v %s", err, text)
		}
	})
	t.Run("joins all problems of its flags", func(t *testing.T) {
		s.of(t).fails(2, "--cores 0: want at least 1\n--utilisation 1.5: want more than 0",
			"plan --cores 0 --utilisation 1.5")
		s.of(t).fails(2, "--pgbouncer-ini needs --pooler", "plan --pgbouncer-ini")
	})
}
