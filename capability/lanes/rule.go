package lanes

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rule says which lanes the jobs of a queue have, and their limits. A limit of 0 does not limit.
type Rule struct {
	Key   Key
	Max   int     // jobs of a lane that run at once, over all processes
	Total int     // jobs of the queue that run at once, over all processes
	Rate  float64 // jobs of a lane that begin in a second, on average
	Burst int     // jobs that may begin at once after a pause, with a Rate; 0: 1
	// Weights are the shares of lanes that wait for a thread at the same time, by lane. The others
	// have 1.
	Weights map[string]float64
	// BesideRuby keeps lanes on while processes of Ruby's Sidekiq serve the queue. They run what is
	// in its list, without limits, and do not see parked jobs.
	BesideRuby bool
}

// The limits of a Rule.
const (
	maxLimit   = 1_000_000
	maxRate    = 1_000_000 // a second
	minRate    = 1.0 / 86400
	maxWeight  = 1000
	minWeight  = 0.001
	maxWeights = 1000
)

// ParseRule parses a list of settings with commas, such as
// key=args.2|host,max=8,rate=20/s,burst=40. The settings are key, max, total, rate (a number per s,
// m, h or d), burst, weight.LANE and beside-ruby. The error joins all problems.
func ParseRule(text string) (r Rule, err error) {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	}
	seen := map[string]bool{}
	for _, part := range strings.Split(text, ",") {
		name, value, has := strings.Cut(strings.TrimSpace(part), "=")
		if seen[name] {
			bad("%s: it is there twice", name)
		}
		seen[name] = true
		if err := r.set(name, value, has); err != nil {
			bad("%w", err)
		}
	}
	problems = append(problems, r.check())
	return r, errors.Join(problems...)
}

// set sets one setting of a rule.
func (r *Rule) set(name, value string, has bool) (err error) {
	lane, weight := strings.CutPrefix(name, "weight.")
	switch {
	case name == "beside-ruby" && (!has || value == "true"):
		r.BesideRuby = true
	case name == "beside-ruby" && value == "false":
	case !has || value == "":
		return fmt.Errorf("%q: want NAME=VALUE: key, max, total, rate, burst, weight.LANE or "+
			"beside-ruby", name)
	case name == "key":
		r.Key, err = ParseKey(value)
	case name == "max":
		r.Max, err = limit(name, value)
	case name == "total":
		r.Total, err = limit(name, value)
	case name == "burst":
		r.Burst, err = limit(name, value)
	case name == "rate":
		r.Rate, err = ParseRate(value)
	case weight:
		var w float64
		w, err = strconv.ParseFloat(value, 64)
		if err != nil || !(w >= minWeight && w <= maxWeight) {
			return fmt.Errorf("%s=%s: want a number from %g to %d", name, value, minWeight,
				maxWeight)
		}
		if r.Weights == nil {
			r.Weights = map[string]float64{}
		}
		r.Weights[lane] = w
	default:
		return fmt.Errorf("no setting %q: want key, max, total, rate, burst, weight.LANE or "+
			"beside-ruby", name)
	}
	return err
}

// limit parses the value of max, total or burst.
func limit(name, value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > maxLimit {
		return 0, fmt.Errorf("%s=%s: want a number from 0 (no limit) to %d", name, value, maxLimit)
	}
	return n, nil
}

// per are the units of a rate, in seconds.
var per = map[string]float64{"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}

// ParseRate parses a rate such as 20/s or 100/h, and returns jobs a second.
func ParseRate(text string) (float64, error) {
	number, unit, has := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(number, 64)
	seconds, known := per[unit]
	if !has || err != nil || !known || math.IsNaN(n) {
		return 0, fmt.Errorf("rate=%s: want a number per s, m, h or d, such as 20/s", text)
	}
	if n == 0 {
		return 0, nil
	}
	if rate := n / seconds; rate >= minRate && rate <= maxRate {
		return rate, nil
	}
	return 0, fmt.Errorf("rate=%s: want 1/d to %d/s, or 0/s for no limit", text, maxRate)
}

// check joins what is wrong with the settings together.
func (r *Rule) check() error {
	var problems []error
	if r.Burst > 0 && r.Rate == 0 {
		problems = append(problems, errors.New("burst: it needs a rate"))
	}
	if r.Key.text == "" && len(r.Weights) > 0 {
		problems = append(problems, errors.New("weight: it needs a key, because without one all "+
			"jobs share a lane"))
	}
	if r.Key.text == "" && r.Max == 0 && r.Total == 0 && r.Rate == 0 {
		problems = append(problems, errors.New("the rule says nothing: want a key, max, total or "+
			"rate"))
	}
	if len(r.Weights) > maxWeights {
		problems = append(problems, fmt.Errorf("%d weights: want at most %d", len(r.Weights),
			maxWeights))
	}
	return errors.Join(problems...)
}

// String returns the rule as ParseRule reads it.
func (r Rule) String() string {
	var list []string
	add := func(name, value string) { list = append(list, name+"="+value) }
	number := func(name string, n int) {
		if n != 0 {
			add(name, strconv.Itoa(n))
		}
	}
	if r.Key.text != "" {
		add("key", r.Key.text)
	}
	number("max", r.Max)
	number("total", r.Total)
	if r.Rate > 0 {
		add("rate", rateText(r.Rate))
	}
	number("burst", r.Burst)
	for _, lane := range slices.Sorted(maps.Keys(r.Weights)) {
		add("weight."+lane, strconv.FormatFloat(r.Weights[lane], 'g', -1, 64))
	}
	if r.BesideRuby {
		list = append(list, "beside-ruby")
	}
	return strings.Join(list, ",")
}

// rateText returns a rate with the unit in which its number is shortest.
func rateText(rate float64) string {
	best := ""
	for _, unit := range []string{"s", "m", "h", "d"} {
		n := strconv.FormatFloat(math.Round(rate*per[unit]*1e6)/1e6, 'f', -1, 64)
		if back, err := ParseRate(n + "/" + unit); err == nil &&
			math.Abs(back-rate) < 1e-9*rate && (best == "" || len(n)+2 < len(best)) {
			best = n + "/" + unit
		}
	}
	if best == "" {
		best = strconv.FormatFloat(rate, 'g', -1, 64) + "/s"
	}
	return best
}

// fields returns the fields of the hash in Redis.
func (r *Rule) fields() []any {
	flag := func(b bool) string {
		if b {
			return "1"
		}
		return "0"
	}
	list := []any{"key", r.Key.text, "max", r.Max, "total", r.Total, "rate", r.Rate,
		"burst", max(r.Burst, 1), "weighted", flag(len(r.Weights) > 0), "besides",
		flag(r.BesideRuby), "text", r.String(), "at", time.Now().UnixMilli()}
	for lane, w := range r.Weights {
		list = append(list, "w:"+lane, w)
	}
	return list
}
