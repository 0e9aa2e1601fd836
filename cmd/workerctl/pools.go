package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// pool is the number of Postgres connections that one or several processes may open.
type pool struct {
	Owner       string
	Connections int
}

// otherPools are the flags for the processes that are not workers.
type otherPools struct{ web, streaming string }

func (o *otherPools) flags(f *pflag.FlagSet) {
	f.StringVar(&o.web, "web", "", "web processes and the threads of each, `NxM` (default: "+
		"WEB_CONCURRENCY and MAX_THREADS)")
	f.StringVar(&o.streaming, "streaming", "", "streaming processes and the connections of "+
		"each, `NxM`")
}

// check reads the flags before the command runs: a mistake in them is a wrong call.
func (o *otherPools) check() error {
	for _, p := range o.given() {
		if _, err := p.pool(); err != nil {
			return err
		}
	}
	return nil
}

// pools are those that the flags or, for web processes, the environment give.
func (o *otherPools) pools(c *call) (list []pool, err error) {
	from := *o
	if from.web == "" && (c.number("WEB_CONCURRENCY") > 0 || c.number("MAX_THREADS") > 0) {
		from.web = fmt.Sprintf("%dx%d", max(c.number("WEB_CONCURRENCY"), 1),
			max(c.number("MAX_THREADS"), c.number("DB_POOL"), 5))
	}
	for _, p := range from.given() {
		pool, err := p.pool()
		if err != nil {
			return nil, err
		}
		list = append(list, pool)
	}
	return list, nil
}

// product is a flag of the form NxM.
type product struct{ flag, text string }

func (o *otherPools) given() (list []product) {
	for _, p := range []product{{"web", o.web}, {"streaming", o.streaming}} {
		if p.text != "" {
			list = append(list, p)
		}
	}
	return list
}

func (p product) pool() (pool, error) {
	before, after, ok := strings.Cut(p.text, "x")
	n, err1 := strconv.Atoi(before)
	m, err2 := strconv.Atoi(after)
	if !ok || err1 != nil || err2 != nil || n < 0 || m < 0 {
		return pool{}, fmt.Errorf("--%s %q: want processes x connections of each, such as 2x5",
			p.flag, p.text)
	}
	return pool{fmt.Sprintf("%s %d x %d", p.flag, n, m), n * m}, nil
}
