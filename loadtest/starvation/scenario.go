package starvation

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
)

// scenario is a load of push in which one host is apart from the others. It is played at the speed
// of life, without lanes, with lanes, and with lanes without the one host.
type scenario struct {
	Name, Story string
	host        string // the one that is apart
	load        []arrival
	promise     string // about the waits of the other hosts with lanes
	// most is the longest p99 of these waits, by those without lanes and those with the host away
	most func(plain, away way) float64
}

// scenarios are those of lanes.
func scenarios() []scenario {
	return []scenario{oneSlowHost(80, 1200), oneLoudTenant(100_000, 1000)}
}

// oneSlowHost has jobs of 2 s for one host beside steady jobs of 10 ms for a hundred others.
func oneSlowHost(slow, others int) scenario {
	s := scenario{Name: "one slow host", host: "slow", Story: fmt.Sprintf("100 deliveries a "+
		"second go to a hundred hosts that answer within 10 ms; after 2 s come %d for a host that "+
		"answers within 2 s", slow),
		promise: "the p99 wait of the others with lanes is at most a tenth of that without",
		most:    func(plain, _ way) float64 { return plain.P99 / 10 }}
	for i := range others {
		s.load = append(s.load, arrival{time.Duration(i) * 10 * time.Millisecond, "push",
			10 * time.Millisecond, fmt.Sprint("host", i%100)})
	}
	for range slow {
		s.load = append(s.load, arrival{2 * time.Second, "push", 2 * time.Second, s.host})
	}
	slices.SortStableFunc(s.load, func(a, b arrival) int { return int(a.at - b.at) })
	return s
}

// oneLoudTenant has many jobs for one host, and behind them one for each of the others.
func oneLoudTenant(loud, others int) scenario {
	s := scenario{Name: "one loud tenant", host: "loud", Story: fmt.Sprintf("%d jobs of one host "+
		"are pushed, and then one for each of %d others; all take 10 ms", loud, others),
		promise: "the p99 wait of the others with lanes is at most twice that without the loud one",
		most:    func(_, away way) float64 { return 2 * away.P99 }}
	for range loud {
		s.load = append(s.load, arrival{0, "push", 10 * time.Millisecond, s.host})
	}
	for i := range others {
		s.load = append(s.load, arrival{100 * time.Millisecond, "push",
			10 * time.Millisecond, fmt.Sprint("host", i)})
	}
	return s
}

// without is the load without the jobs of the host that is apart.
func (s scenario) without() []arrival {
	return slices.DeleteFunc(slices.Clone(s.load), func(a arrival) bool { return a.host == s.host })
}

// ofOthers counts the jobs of the other hosts.
func (s scenario) ofOthers(runs []ran) (n int) {
	for _, r := range runs {
		if r.host != s.host {
			n++
		}
	}
	return n
}

// way is one way in which a scenario was played.
type way struct {
	Name string  `json:"name"`
	Jobs int     `json:"jobs"` // of the other hosts, as all that follows but the last
	P50  float64 `json:"wait_p50_s"`
	P95  float64 `json:"wait_p95_s"`
	P99  float64 `json:"wait_p99_s"`
	Max  float64 `json:"wait_max_s"`
	// of the host that is apart, counted by the jobs
	AtOnce int `json:"at_once"`

	runs []ran
}

// newWay sums up the jobs that ran.
func (s scenario) newWay(name string, runs []ran) way {
	var waits []float64
	var apart []ran
	for _, r := range runs {
		if r.host == s.host {
			apart = append(apart, r)
		} else {
			waits = append(waits, (r.start - r.pushed).Seconds())
		}
	}
	slices.Sort(waits)
	_, most := mostAtOnce(apart)
	return way{name, len(waits), lab.Quantile(waits, 0.50), lab.Quantile(waits, 0.95),
		lab.Quantile(waits, 0.99), lab.Quantile(waits, 1), most, runs}
}

// played is a scenario with its results.
type played struct {
	Name    string `json:"name"`
	Story   string `json:"story"`
	Finding string `json:"finding"`
	Ways    []way  `json:"ways"` // no lanes, lanes, and lanes without the one host

	scenario scenario
}

// answers compare a scenario with what lanes promise.
func (p played) answers() []answer {
	plain, laned, away := p.Ways[0], p.Ways[1], p.Ways[2]
	return []answer{
		{p.Name + ": " + p.scenario.promise, fmt.Sprintf("%s with lanes, %s without, %s with the "+
			"%s host away", human(laned.P99), human(plain.P99), human(away.P99), p.scenario.host),
			laned.P99 <= p.scenario.most(plain, away)},
		{fmt.Sprintf("%s: never more than %d jobs of the %s host at once", p.Name, hostMax,
			p.scenario.host), fmt.Sprintf("at most %d", laned.AtOnce), laned.AtOnce <= hostMax}}
}

// playAll plays a scenario in all ways.
func (e *experiment) playAll(ctx context.Context, s scenario) (p played, err error) {
	p = played{Name: s.Name, Story: s.Story, scenario: s}
	plain, laned := with(threads, each("push")), withLanes(with(threads, each("push")))
	for _, w := range []struct {
		name  string
		flags []string
		load  []arrival
	}{{"no lanes", plain, s.load}, {"lanes", laned, s.load},
		{"lanes, " + s.host + " host away", laned, s.without()}} {
		runs, err := e.stage(ctx, s, w.load, w.flags)
		if err != nil {
			return p, fmt.Errorf("%s, %s: %w", s.Name, w.name, err)
		}
		p.Ways = append(p.Ways, s.newWay(w.name, runs))
	}
	p.Finding = fmt.Sprintf("One job in a hundred of the other hosts waits %s or longer without "+
		"lanes, %s with lanes, and %s while the %s host sends nothing", human(p.Ways[0].P99),
		human(p.Ways[1].P99), human(p.Ways[2].P99), s.host)
	return p, nil
}

// stage pushes a load at the speed of life to one process, and gives the jobs that have run when
// all those of the other hosts have.
func (e *experiment) stage(ctx context.Context, s scenario, load []arrival,
	flags []string) ([]ran, error) {
	real := *e
	real.speed = 1
	e.Raw.FlushAll(ctx)
	stopAll, err := e.launchAll(ctx, [][]string{flags})
	if err != nil {
		return nil, err
	}
	defer stopAll()
	path, start, others := e.File("scenario"), time.Now(), len(s.without())
	if err := os.RemoveAll(path); err != nil { // of the way before
		return nil, err
	}
	for {
		if err := real.pushDue(ctx, &load, path, start); err != nil {
			return nil, err
		}
		if len(load) > 0 {
			time.Sleep(2 * time.Millisecond)
			continue
		}
		runs, err := readRuns(path, start, 1)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if s.ofOthers(runs) >= others {
			return runs, nil
		}
		if ctx.Err() != nil || time.Since(start) > 4*time.Minute {
			return nil, errors.New("the jobs of the other hosts do not end within 4 minutes")
		}
		time.Sleep(250 * time.Millisecond)
	}
}
