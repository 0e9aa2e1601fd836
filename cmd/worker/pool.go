package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// pool shows a pool of Postgres connections in /metrics.
type pool struct{ *pgxpool.Pool }

func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("kyu_pg_pool_"+name, help, nil, nil)
}

var (
	poolAcquired = desc("acquired", "Connections that jobs hold.")
	poolIdle     = desc("idle", "Connections that are open and free.")
	poolMax      = desc("max", "The most connections that the pool opens.")
	poolWaits    = desc("waits_total", "Times that a job had to wait for a connection.")
	poolWaited   = desc("acquire_seconds_total", "Time that jobs have spent on getting a connection.")
	poolGaveUp   = desc("cancelled_total", "Times that a job gave up before it had one.")
)

// Describe sends what Collect will.
func (p *pool) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolAcquired, poolIdle, poolMax, poolWaits, poolWaited, poolGaveUp} {
		c <- d
	}
}

// Collect reads the pool's figures.
func (p *pool) Collect(c chan<- prometheus.Metric) {
	s := p.Stat()
	for d, v := range map[*prometheus.Desc]float64{poolAcquired: float64(s.AcquiredConns()), poolIdle: float64(s.IdleConns()), poolMax: float64(s.MaxConns())} {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	for d, v := range map[*prometheus.Desc]float64{poolWaits: float64(s.EmptyAcquireCount()), poolWaited: s.AcquireDuration().Seconds(), poolGaveUp: float64(s.CanceledAcquireCount())} {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
}
