package starvation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// answer is the result of a small experiment whose right result is known (docs/wire.md 14.5).
type answer struct {
	Case  string
	Found string
	Right bool
}

// knownAnswers checks order, shares and limits. The error names the answers that are wrong.
func (e *experiment) knownAnswers(ctx context.Context, scenes []played) (list []answer,
	wrong error) {
	for _, p := range scenes {
		list = append(list, p.answers()...)
	}
	checks := []func(context.Context) (answer, error){e.pullStarves, e.pullGetsANinth,
		e.sharesFollowWeights}
	if e.runtime == "kyu" {
		checks = append(checks, e.floorHolds, e.placesFill, e.lanesCostLittle)
	}
	for _, check := range checks {
		a, err := check(ctx)
		if err != nil {
			wrong = errors.Join(wrong, err)
			continue
		}
		list = append(list, a)
	}
	for _, a := range list {
		if !a.Right {
			wrong = errors.Join(wrong,
				fmt.Errorf("a known answer is wrong: %s: %s", a.Case, a.Found))
		}
	}
	return list, wrong
}

// order gives the queues in the order in which their jobs of 5 ms started, when one process of 20
// threads has run so many of them.
func (e *experiment) order(ctx context.Context, name string, sizes map[string]int,
	flags []string, enough int) ([]string, error) {
	var load []arrival
	for q, n := range sizes {
		load = append(load, slices.Repeat([]arrival{{0, q, 5 * time.Millisecond, ""}}, n)...)
	}
	runs, err := e.saturate(ctx, name, load, flags, enough)
	queues := make([]string, len(runs))
	for i, r := range runs {
		queues[i] = r.queue
	}
	return queues, err
}

// saturate pushes jobs, whose times are real ones, runs one process of 20 threads until so many of
// them have run, and gives these in the order in which they started.
func (e *experiment) saturate(ctx context.Context, name string, load []arrival, flags []string,
	enough int) ([]ran, error) {
	real := *e
	real.speed = 1
	e.Raw.FlushAll(ctx)
	path := e.File("answer-" + name)
	if err := real.push(ctx, load, path); err != nil {
		return nil, err
	}
	start := time.Now()
	stopAll, err := e.launchAll(ctx, [][]string{with(threads, flags)})
	if err != nil {
		return nil, err
	}
	defer stopAll()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		runs, err := readRuns(path, start, 1)
		if err == nil && len(runs) >= enough {
			return runs, nil
		}
		if time.Now().After(limit) || ctx.Err() != nil {
			return nil, fmt.Errorf("%s: only %d of %d jobs ran within a minute", name,
				len(runs), enough)
		}
	}
}

func count(list []string, one string) (n int) {
	for _, s := range list {
		if s == one {
			n++
		}
	}
	return n
}

// pullStarves checks that with strict order no job of pull starts while default has jobs.
func (e *experiment) pullStarves(ctx context.Context) (answer, error) {
	const n = 6000
	order, err := e.order(ctx, "strict", map[string]int{"default": n, "pull": 50},
		each("default", "pull"), n+10)
	if err != nil {
		return answer{}, err
	}
	// The last jobs of default do not need all threads, and pull gets the others.
	first := slices.Index(order, "pull")
	return answer{"strict order, default saturated: pull never starts",
		fmt.Sprintf("%d jobs of default started before the first of pull, of %d", first, n),
		first >= n-threads}, nil
}

// pullGetsANinth checks that with weights 8 and 1 pull is drawn in 1/9 of the cases.
func (e *experiment) pullGetsANinth(ctx context.Context) (answer, error) {
	const n = 4500
	order, err := e.order(ctx, "ninth", map[string]int{"default": n, "pull": n},
		each("default,8", "pull,1"), n)
	if err != nil {
		return answer{}, err
	}
	pull := count(order[:n], "pull")
	x := chiSquare([]int{n - pull, pull}, []float64{8, 1})
	return answer{"weights 8:1, both saturated: pull is drawn in 1/9 of the cases",
		fmt.Sprintf("%d of %d, chi-square %.1f (at most 10.8)", pull, n, x), x <= 10.83}, nil
}

// floorHolds checks that a floor of 5 % gives pull its share of any 1,000 starts.
func (e *experiment) floorHolds(ctx context.Context) (answer, error) {
	const n, window = 4500, 1000
	order, err := e.order(ctx, "floor", map[string]int{"default": n, "pull": n},
		each("default", "pull,floor=5%"), n)
	if err != nil {
		return answer{}, err
	}
	least := window
	for i := range n - window {
		least = min(least, count(order[i:i+window], "pull"))
	}
	total := count(order[:n], "pull")
	return answer{"floor of 5 %, both saturated: at least 50 of any 1,000 starts are of pull",
		fmt.Sprintf("at least %d, and %d of all %d", least, total, n),
		least >= 50 && total <= n*6/100}, nil
}

// sharesFollowWeights checks that four queues with equal service times get threads by weight.
func (e *experiment) sharesFollowWeights(ctx context.Context) (answer, error) {
	const n = 4500
	sizes, weights := map[string]int{}, []float64{8, 6, 2, 1}
	for _, q := range queues {
		sizes[q] = n
	}
	order, err := e.order(ctx, "shares", sizes,
		each("default,8", "push,6", "mailers,2", "pull,1"), n)
	if err != nil {
		return answer{}, err
	}
	counts := make([]int, len(queues))
	for i, q := range queues {
		counts[i] = count(order[:n], q)
	}
	x := chiSquare(counts, weights)
	return answer{"weights 8:6:2:1, all saturated, equal service times: shares 8:6:2:1",
		fmt.Sprintf("%v of %d, chi-square %.1f (at most 16.3)", counts, n, x), x <= 16.27}, nil
}

// chiSquare compares counts with weights. The limits above are those that chance
// exceeds once in a thousand times, for one and for three degrees of freedom.
func chiSquare(counts []int, weights []float64) (x float64) {
	total, sum := 0.0, 0.0
	for i, n := range counts {
		total += float64(n)
		sum += weights[i]
	}
	for i, n := range counts {
		want := total * weights[i] / sum
		x += (float64(n) - want) * (float64(n) - want) / want
	}
	return x
}
