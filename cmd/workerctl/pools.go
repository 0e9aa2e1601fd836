package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// pool is the number of Postgres connections that one or several processes may open.
type pool struct {
	Owner       string `json:"owner"`
	Connections int    `json:"connections"`
}

// otherPools are the flags for the processes that are not workers.
type otherPools struct{ web, streaming, envFile string }

func (o *otherPools) flags(f *pflag.FlagSet) {
	f.StringVar(&o.web, "web", "", "web processes and the threads of each, `NxM` (default: "+
		"WEB_CONCURRENCY and MAX_THREADS)")
	f.StringVar(&o.streaming, "streaming", "", "streaming processes and the connections of "+
		"each, `NxM` (default: STREAMING_CLUSTER_NUM and DB_POOL)")
	f.StringVar(&o.envFile, "env-file", "", "also read variables from this `FILE`, such as "+
		"Mastodon's .env.production")
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

// Mastodon's own values where its variables are not set.
const (
	webProcesses   = 2  // WEB_CONCURRENCY
	webThreads     = 5  // MAX_THREADS
	streamingConns = 10 // DB_POOL of a streaming process
)

// pools are those that the flags or the environment and the file of variables give. A Ruby process
// opens no more connections than it has threads, whatever its pool allows.
func (o *otherPools) pools(c *call) (list []pool, err error) {
	if o.envFile != "" {
		vars, err := readEnvFile(o.envFile)
		if err != nil {
			return nil, err
		}
		c.fallBackTo(vars)
	}
	from, size := *o, c.number("DB_POOL")
	if from.web == "" && (c.number("WEB_CONCURRENCY") > 0 || c.number("MAX_THREADS") > 0) {
		threads := cmp.Or(c.number("MAX_THREADS"), webThreads)
		from.web = fmt.Sprintf("%dx%d", cmp.Or(c.number("WEB_CONCURRENCY"), webProcesses),
			min(threads, cmp.Or(size, threads)))
	}
	if n := c.number("STREAMING_CLUSTER_NUM"); from.streaming == "" && n > 0 {
		from.streaming = fmt.Sprintf("%dx%d", n, cmp.Or(size, streamingConns))
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
