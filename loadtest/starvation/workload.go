package starvation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// queues of the model, in strict order.
var queues = []string{"default", "push", "mailers", "pull"}

// service is how long the jobs of a queue take: a lognormal distribution, given by its median
// and a high percentile (docs/wire.md 14.4). No measured ones have been published.
type service struct {
	share  float64 // of the jobs
	median time.Duration
	sigma  float64
}

// sigma of a lognormal whose percentile z (in standard deviations) is ratio medians.
func sigma(ratio, z float64) float64 { return math.Log(ratio) / z }

const (
	z95 = 1.6449
	z99 = 2.3263
)

// services are those of the model without ingress, a queue of newer servers. The shares add
// up to one.
var services = map[string]service{
	"default": {0.533, 8 * time.Millisecond, sigma(150.0/8, z99)},
	"push":    {0.296, 250 * time.Millisecond, sigma(6, z95)},
	"mailers": {0.006, 300 * time.Millisecond, sigma(2000.0/300, z95)},
	"pull":    {0.165, 400 * time.Millisecond, sigma(10, z95)},
}

func (s service) mean() time.Duration {
	return time.Duration(float64(s.median) * math.Exp(s.sigma*s.sigma/2))
}

// longestJob is where timeouts end a job.
const longestJob = 20 * time.Second

// draw is a random service time.
func (s service) draw(r *rand.Rand) time.Duration {
	d := time.Duration(float64(s.median) * math.Exp(s.sigma*r.NormFloat64()))
	return min(d, longestJob)
}

// arrival is a job that comes at a moment of the experiment. Times are those of life;
// the experiment runs faster.
type arrival struct {
	at    time.Duration
	queue string
	takes time.Duration
	host  string // of a delivery; jobs of other queues have none
}

// hostOf is the host of the nth delivery: all hosts get as many.
func hostOf(n int) string { return fmt.Sprint("host", n%1000) }

// burst over-fills a queue at a moment.
type burst struct {
	name, queue, story string
	add                func(r *rand.Rand, at time.Duration) []arrival
}

var bursts = []burst{
	{"viral", "push", "a post goes viral: 3,000 deliveries at once, and 1,500 more over the next " +
		"minute", func(r *rand.Rand, at time.Duration) (list []arrival) {
		for i := range 4500 {
			when := at
			if i >= 3000 {
				when += rand64(r, time.Minute)
			}
			list = append(list, arrival{when, "push", services["push"].draw(r),
				hostOf(i)})
		}
		return list
	}},
	{"outage", "default", "a peer is back from an outage: 20,000 jobs for default within ten " +
		"seconds, 100 ms each", func(r *rand.Rand, at time.Duration) (list []arrival) {
		for range 20_000 {
			list = append(list, arrival{at + rand64(r, 10*time.Second), "default",
				100 * time.Millisecond, ""})
		}
		return list
	}},
	{"deadhosts", "push", "two hosts die: for two minutes four deliveries a second more run into " +
		"a timeout of 10 s", func(r *rand.Rand, at time.Duration) (list []arrival) {
		for i := range 480 {
			list = append(list, arrival{at + rand64(r, 2*time.Minute), "push", 10 * time.Second,
				fmt.Sprint("dead", i%2)})
		}
		return list
	}},
}

func rand64(r *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(d)))
}

func findBurst(name string) (burst, error) {
	i := slices.IndexFunc(bursts, func(b burst) bool { return b.name == name })
	if i < 0 {
		return burst{}, fmt.Errorf("--burst %q: want viral, outage or deadhosts", name)
	}
	return bursts[i], nil
}

// workload makes the arrivals of the whole experiment, in order: a Poisson process
// that keeps the threads busy to a share, and the burst.
func workload(seed uint64, busy float64, length, burstAt time.Duration, b burst) []arrival {
	r := rand.New(rand.NewPCG(seed, 0))
	work := 0.0 // seconds of a thread per job
	for _, s := range services {
		work += s.share * s.mean().Seconds()
	}
	rate := busy * float64(threads) / work
	var list []arrival
	for at := 0.0; at < length.Seconds(); at += r.ExpFloat64() / rate {
		x, name := r.Float64(), "default"
		for _, q := range queues {
			if x -= services[q].share; x < 0 {
				name = q
				break
			}
		}
		host := ""
		if name == "push" {
			host = hostOf(len(list))
		}
		list = append(list, arrival{time.Duration(at * float64(time.Second)), name,
			services[name].draw(r), host})
	}
	// A generator of its own: the burst is the same, however long the load goes on.
	list = append(list, b.add(rand.New(rand.NewPCG(seed, 1)), burstAt)...)
	slices.SortStableFunc(list, func(a, b arrival) int { return int(a.at - b.at) })
	return list
}
