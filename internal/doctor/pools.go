package doctor

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/internal/env"
)

// Pool is the number of Postgres connections that one or several processes may open.
type Pool struct {
	Owner       string `json:"owner"`
	Connections int    `json:"connections"`
}

// Others are the processes that are not workers, each as NxM: processes and the connections of
// each, such as 2x5. Empty: there are none.
type Others struct{ Web, Streaming string }

// Mastodon's own values where its variables are not set.
const (
	webProcesses   = 2  // WEB_CONCURRENCY
	webThreads     = 5  // MAX_THREADS
	streamingConns = 10 // DB_POOL of a streaming process
)

// number is a variable that is a number, else 0.
func number(r *env.Reader, key string) int {
	v, _ := r.Get(key)
	n, _ := strconv.Atoi(v)
	return n
}

// Or returns the processes, and where they are not given those of the variables of Mastodon. A Ruby
// process opens no more connections than it has threads, whatever its pool allows.
func (o Others) Or(r *env.Reader) Others {
	size := number(r, "DB_POOL")
	if o.Web == "" && (number(r, "WEB_CONCURRENCY") > 0 || number(r, "MAX_THREADS") > 0) {
		threads := cmp.Or(number(r, "MAX_THREADS"), webThreads)
		o.Web = fmt.Sprintf("%dx%d", cmp.Or(number(r, "WEB_CONCURRENCY"), webProcesses),
			min(threads, cmp.Or(size, threads)))
	}
	if n := number(r, "STREAMING_CLUSTER_NUM"); o.Streaming == "" && n > 0 {
		o.Streaming = fmt.Sprintf("%dx%d", n, cmp.Or(size, streamingConns))
	}
	return o
}

// Pools are those of the processes. The error names the one that has not the form NxM.
func (o Others) Pools() (list []Pool, err error) {
	for _, p := range []product{{"web", o.Web}, {"streaming", o.Streaming}} {
		if p.text == "" {
			continue
		}
		pool, err := p.pool()
		if err != nil {
			return nil, err
		}
		list = append(list, pool)
	}
	return list, nil
}

// product is a number of processes of the form NxM, by the flag that gives it.
type product struct{ flag, text string }

func (p product) pool() (Pool, error) {
	before, after, ok := strings.Cut(p.text, "x")
	n, err1 := strconv.Atoi(before)
	m, err2 := strconv.Atoi(after)
	if !ok || err1 != nil || err2 != nil || n < 0 || m < 0 {
		return Pool{}, fmt.Errorf("--%s %q: want processes x connections of each, such as 2x5",
			p.flag, p.text)
	}
	return Pool{fmt.Sprintf("%s %d x %d", p.flag, n, m), n * m}, nil
}
