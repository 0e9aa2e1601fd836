package doctor

import (
	"testing"

	"github.com/kyujobs/kyu/internal/redisdb"
)

func TestDoctorCluster(t *testing.T) {
	wait := func(n int) func(*Examination, *redisdb.ClusterState) {
		return func(e *Examination, s *redisdb.ClusterState) { e.replication(s, n) }
	}
	for name, x := range map[string]struct {
		look                func(*Examination, *redisdb.ClusterState)
		state               redisdb.ClusterState
		level, text, remedy string
	}{
		"has a replica": {(*Examination).slot, redisdb.ClusterState{Tag: "a", Slot: 7, Owner: "h:1",
			Replicas: 1}, Good, "the tag a is slot 7 of the cluster, which h:1 has, with 1", ""},
		"has no replica": {(*Examination).slot, redisdb.ClusterState{Owner: "h:1"}, Wrong,
			"without a replica", "add-node"},
		"hides its settings": {(*Examination).failover, redisdb.ClusterState{}, Warning,
			"does not say", "CONFIG GET"},
		"wants full coverage": {(*Examination).failover, redisdb.ClusterState{FullCoverage: "yes"},
			Warning, "full-coverage is yes", "full-coverage no"},
		"waits for too many replicas": {wait(2), redisdb.ClusterState{Replicas: 1}, Wrong,
			"no push is confirmed", "REDIS_WAIT_REPLICAS=1"},
		"waits for replicas": {wait(1), redisdb.ClusterState{Replicas: 1}, Good,
			"when 1 replicas have it", ""},
		"does not wait": {wait(0), redisdb.ClusterState{Replicas: 1, MinReplicas: 1}, Warning,
			"before a replica has it", "REDIS_WAIT_REPLICAS=1"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Examination{}
			x.look(e, &x.state)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
	t.Run("judges the node timeout", func(t *testing.T) {
		for ms, want := range map[int64]string{500: Warning, 5000: Good, 60_000: Warning} {
			e := &Examination{}
			e.failover(&redisdb.ClusterState{FullCoverage: "no", NodeTimeout: ms})
			if got := e.Findings[len(e.Findings)-1]; got.Level != want {
				t.Errorf("%d ms: %+v, want %s", ms, got, want)
			}
		}
	})
}
