package starvation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// deliveries are n jobs of push for as many hosts as hosts, in turn.
func deliveries(n, hosts int, takes time.Duration) []arrival {
	list := make([]arrival, n)
	for i := range list {
		list[i] = arrival{0, "push", takes, fmt.Sprint("host", i%hosts)}
	}
	return list
}

// placesFill checks that lanes let as many jobs of each host run as their limit says: never more,
// and hardly ever fewer. A job takes as long as the median delivery of the model.
func (e *experiment) placesFill(ctx context.Context) (answer, error) {
	const n, hosts, most, takes = 384, 8, 2, 250 * time.Millisecond
	runs, err := e.saturate(ctx, "places", deliveries(n, hosts, takes),
		withRule(with(threads, each("push")), most), n)
	if err != nil {
		return answer{}, err
	}
	speed, possible := perSecond(runs), hosts*most/takes.Seconds()
	busiest, at := mostAtOnce(runs)
	return answer{"lanes of 2 jobs, 8 hosts, jobs of 250 ms, 20 threads: never more of a host at " +
		"once, and at least 95 % of the jobs/s that 16 places allow",
		fmt.Sprintf("at most %d at once (%s), %.0f of %.0f jobs/s, %.1f %%", at, busiest, speed,
			possible, 100*speed/possible), at <= most && speed >= 0.95*possible}, nil
}

// lanesCostLittle checks that lanes that do not bind leave 90 % of the speed of a queue without
// lanes. Runs with and without lanes follow each other, so other load on the machine affects both.
func (e *experiment) lanesCostLittle(ctx context.Context) (answer, error) {
	const n, hosts, rounds = 6000, 1000, 5
	load := deliveries(n, hosts, 5*time.Millisecond)
	var ratios, speeds []float64
	for round := range rounds {
		var speed [2]float64
		for i, flags := range [][]string{with(threads, each("push")),
			withLanes(with(threads, each("push")))} {
			runs, err := e.saturate(ctx, fmt.Sprintf("cost-%d-%d", round, i), load, flags, n)
			if err != nil {
				return answer{}, err
			}
			speed[i] = perSecond(runs)
		}
		ratios, speeds = append(ratios, speed[1]/speed[0]), append(speeds, speed[1])
	}
	ratio := lab.Median(ratios)
	return answer{"lanes of 5 jobs, 1,000 hosts, jobs of 5 ms: at least 90 % of the speed " +
		"without lanes",
		fmt.Sprintf("%.1f %% (median of %d pairs), %.0f jobs/s", 100*ratio, rounds,
			lab.Median(speeds)), ratio >= 0.9}, nil
}

// perSecond is how many jobs ended per second, from the first start to the last end.
func perSecond(runs []ran) float64 {
	var end time.Duration
	for _, r := range runs {
		end = max(end, r.end)
	}
	return float64(len(runs)) / (end - runs[0].start).Seconds()
}

// mostAtOnce is the host of which most jobs ran at once, and how many. The jobs have noted their
// starts and ends.
func mostAtOnce(runs []ran) (host string, most int) {
	type change struct {
		at   time.Duration
		host string
		by   int
	}
	var list []change
	for _, r := range runs {
		list = append(list, change{r.start, r.host, 1}, change{r.end, r.host, -1})
	}
	// at one moment ends come first, because the clock shows whole microseconds
	slices.SortFunc(list, func(a, b change) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.by - b.by
	})
	now := map[string]int{}
	for _, c := range list {
		if now[c.host] += c.by; now[c.host] > most {
			host, most = c.host, now[c.host]
		}
	}
	return host, most
}
