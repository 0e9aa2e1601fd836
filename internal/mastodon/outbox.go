package mastodon

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/prometheus/client_golang/prometheus"
)

// measureLimit is how long the table may take to answer a request for the metrics.
const measureLimit = 2 * time.Second

// outboxCollector is the outbox in /metrics.
type outboxCollector struct{ *outbox.Relay }

var (
	outboxWaiting = desc("outbox_waiting",
		"Rows of kyu_outbox whose jobs are not in Redis yet, 100,000 at most.")
	outboxOldest = desc("outbox_oldest_seconds", "The age of the first row that waits.")
	outboxAside  = desc("outbox_aside",
		"Rows of kyu_outbox that hold no job and are kept aside, 100,000 at most.")
	outboxRelayed = desc("outbox_relayed_total", "Jobs that this process has moved to Redis.")
	outboxRefused = desc("outbox_refused_total", "Rows that this process has kept aside.")
)

// Describe sends the names of the figures.
func (c *outboxCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{outboxWaiting, outboxOldest, outboxAside, outboxRelayed,
		outboxRefused} {
		to <- d
	}
}

// Collect reads the figures and sends them. Those of the table are left out if it does not exist,
// or if Postgres does not answer in time.
func (c *outboxCollector) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
		to <- prometheus.MustNewConstMetric(d, kind, v)
	}
	counts := c.Counts()
	send(outboxRelayed, prometheus.CounterValue, float64(counts.Relayed))
	send(outboxRefused, prometheus.CounterValue, float64(counts.Aside))
	ctx, cancel := context.WithTimeout(context.Background(), measureLimit)
	defer cancel()
	f, err := c.Measure(ctx)
	if err != nil {
		return
	}
	send(outboxWaiting, prometheus.GaugeValue, float64(f.Waiting))
	send(outboxOldest, prometheus.GaugeValue, f.Oldest.Seconds())
	send(outboxAside, prometheus.GaugeValue, float64(f.Aside))
}
