package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

// load is the work that arrives in a queue.
type load struct {
	Queue string        `json:"queue"`
	Rate  float64       `json:"jobs_per_second"`
	Mean  time.Duration `json:"-"`
}

// standard is the load of a busy small server: 40 jobs/s, with shares and times near those of
// the workload model (docs/wire.md 14.4).
var standard = loads{
	{"default", 20, 15 * time.Millisecond}, {"push", 13, 500 * time.Millisecond},
	{"mailers", 0.2, 600 * time.Millisecond}, {"pull", 7, 1200 * time.Millisecond},
}

// unknownLoad is that of a queue that only one of the flags names.
func unknownLoad(name string) load { return load{name, 1, 100 * time.Millisecond} }

// slots are the threads that a load needs: rate × mean time / utilisation.
func (l load) slots(utilisation float64) float64 {
	return l.Rate * l.Mean.Seconds() / utilisation
}

// loads are the loads of all queues, in the order in which they are named.
type loads []load

// readLoads reads --rate and --mean. The load of base holds where they say nothing.
func readLoads(base loads, rate, mean string) ([]load, error) {
	list := slices.Clone(base)
	err := errors.Join(list.read("rate", rate, (*load).setRate),
		list.read("mean", mean, (*load).setMean))
	return list, err
}

// read reads QUEUE=VALUE,… and adds the queues that are new.
func (ls *loads) read(flag, text string, set func(*load, string) error) error {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool {
		return r == ',' || r == ' '
	}) {
		name, value, _ := strings.Cut(part, "=")
		if !envelope.ValidName(name) {
			return fmt.Errorf("--%s %q: want QUEUE=VALUE", flag, part)
		}
		if err := set(ls.of(name), value); err != nil {
			return fmt.Errorf("--%s %q: %w", flag, part, err)
		}
	}
	return nil
}

// of is the load of a queue.
func (ls *loads) of(name string) *load {
	i := slices.IndexFunc(*ls, func(l load) bool { return l.Queue == name })
	if i < 0 {
		i = len(*ls)
		*ls = append(*ls, unknownLoad(name))
	}
	return &(*ls)[i]
}

func (l *load) setRate(text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return errors.New("want jobs per second, such as push=25")
	}
	l.Rate = n
	return nil
}

func (l *load) setMean(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("want a time, such as push=400ms")
	}
	l.Mean = d
	return nil
}
