package mastodon

import (
	"github.com/kyujobs/kyu/database"
	"github.com/prometheus/client_golang/prometheus"
)

// collector is the pool of Postgres connections and the replicas in /metrics.
type collector struct{ *database.Database }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kyu_pg_"+name, help, labels, nil)
}

var (
	poolAcquired = desc("pool_acquired", "Connections that jobs hold.")
	poolIdle     = desc("pool_idle", "Connections that are open and free.")
	poolMax      = desc("pool_max", "The most connections that the pool opens.")
	poolWaits    = desc("pool_waits_total", "Times that a job had to wait for a connection.")
	poolWaited   = desc("pool_acquire_seconds_total",
		"Time that jobs have spent on getting a connection.")
	poolGaveUp = desc("pool_cancelled_total",
		"Times that a job gave up before it had a connection.")

	replicaLag = desc("replica_lag_seconds",
		"How many seconds the replica is behind the primary.", "replica")
	replicaInUse = desc("replica_in_use",
		"1 if jobs read from the replica, 0 if it is taken out.", "replica")
	behind = desc("replica_behind_total", "Reads that went to the primary because no "+
		"replica had the data that the job needed.")
	rechecked = desc("replica_rechecked_total", "Rows that a replica did not have and "+
		"that were then read from the primary.")
)

// Describe sends the names of the figures.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolAcquired, poolIdle, poolMax, poolWaits, poolWaited,
		poolGaveUp, replicaLag, replicaInUse, behind, rechecked} {
		to <- d
	}
}

// Collect reads the figures and sends them.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	s := c.Pool().Stat()
	gauge(poolAcquired, float64(s.AcquiredConns()))
	gauge(poolIdle, float64(s.IdleConns()))
	gauge(poolMax, float64(s.MaxConns()))
	counter(poolWaits, float64(s.EmptyAcquireCount()))
	counter(poolWaited, s.AcquireDuration().Seconds())
	counter(poolGaveUp, float64(s.CanceledAcquireCount()))
	state := c.State()
	for _, r := range state.Replicas {
		gauge(replicaLag, r.Lag.Seconds(), r.Name)
		inUse := 0.0
		if r.InUse {
			inUse = 1
		}
		gauge(replicaInUse, inUse, r.Name)
	}
	counter(behind, float64(state.Behind))
	counter(rechecked, float64(state.Rechecked))
}
