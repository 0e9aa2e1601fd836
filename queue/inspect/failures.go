package inspect

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// failureSample is of how many jobs of a set Failures makes an estimate.
const failureSample = 5_000

// Failures are the jobs of the retry set and of the dead set by what failed.
type Failures struct {
	Retries FailureCount   `json:"retries"`
	Dead    FailureCount   `json:"dead"`
	Classes []ClassFailure `json:"classes"` // those with the most jobs first
	Hosts   []HostFailure  `json:"hosts"`   // those with the most jobs first
}

// FailureCount says how the jobs of a set were counted.
type FailureCount struct {
	Size    int64 `json:"size"`    // jobs in the set
	Read    int64 `json:"read"`    // of them, those that were read
	Sampled bool  `json:"sampled"` // the numbers of groups are estimates from those that were read
	Stopped bool  `json:"stopped"` // the time was over: there may be more of each group
}

// Sums are how many jobs of both sets belong to a group, and the last failure of them.
type Sums struct {
	Retries int64     `json:"retries"`
	Dead    int64     `json:"dead"`
	Message string    `json:"error_message"`      // of the last failure
	At      time.Time `json:"failed_at,omitzero"` // when it was; zero if no job says it
}

// ClassFailure is a class of jobs, and the class of the error with which they failed.
type ClassFailure struct {
	Class string `json:"class"`       // as DisplayClass says it; "" for what is no job
	Error string `json:"error_class"` // "" if the jobs do not say it: somebody killed them
	Sums
}

// HostFailure is a host to which jobs should have sent something: that of the first URL among their
// arguments.
type HostFailure struct {
	Host  string `json:"host"`
	Error string `json:"error_class"` // of the last failure
	Sums
}

// Failures groups the jobs of the retry set and of the dead set. Of a set with more than 5,000
// jobs it reads as many, spread over the set, and estimates: that takes some 0.1 s. With exact it
// reads all, 10 s for a million, until the deadline of ctx has passed: then it returns what it has.
func (in *Inspector) Failures(ctx context.Context, exact bool) (f Failures, err error) {
	g := &failureGroups{classes: map[[2]string]*ClassFailure{}, hosts: map[string]*HostFailure{}}
	if f.Retries.Size, err = in.RetrySet().Size(ctx); err != nil {
		return f, err
	}
	if f.Dead.Size, err = in.DeadSet().Size(ctx); err != nil {
		return f, err
	}
	err = f.Retries.read(ctx, in.RetrySet(), exact, g,
		func(s *Sums) *int64 { return &s.Retries })
	if err == nil {
		err = f.Dead.read(ctx, in.DeadSet(), exact, g, func(s *Sums) *int64 { return &s.Dead })
	}
	f.Classes, f.Hosts = g.sorted()
	return f, err
}

// read counts the jobs of a set. number is where a group has its number of them.
func (c *FailureCount) read(ctx context.Context, set *JobSet, exact bool, g *failureGroups,
	number func(*Sums) *int64) (err error) {
	note := func(e queue.Entry) {
		c.Read++
		for _, s := range g.of(e) {
			*number(s)++
		}
	}
	if c.Sampled = !exact && c.Size > failureSample; c.Sampled {
		err = set.Sample(ctx, failureSample, note)
	} else {
		_, err = set.Search(ctx, Filter{}, time.Now().Add(time.Hour), note)
	}
	if err != nil && exact && redisdb.Over(ctx) {
		c.Stopped, err = true, nil
	}
	if c.Sampled && c.Read > 0 {
		g.scale(float64(c.Size)/float64(c.Read), number)
	}
	return err
}

// failureGroups are the groups that were met.
type failureGroups struct {
	classes map[[2]string]*ClassFailure // by class and class of the error
	hosts   map[string]*HostFailure
}

// of returns the sums of the groups to which an entry belongs, with its failure noted.
func (g *failureGroups) of(e queue.Entry) (sums []*Sums) {
	class, err, message, at := "", "", "", time.Time{}
	if e.Parse(); e.Job != nil {
		class, err, message = e.Job.DisplayClass(), e.Job.String("error_class"),
			e.Job.String("error_message")
		if at = e.Job.Time("retried_at"); at.IsZero() {
			at = e.Job.Time("failed_at")
		}
	}
	key := [2]string{class, err}
	c := g.classes[key]
	if c == nil {
		c = &ClassFailure{Class: class, Error: err}
		g.classes[key] = c
	}
	c.note(message, at)
	sums = append(sums, &c.Sums)
	if host := urlHost(e); host != "" {
		h := g.hosts[host]
		if h == nil {
			h = &HostFailure{Host: host}
			g.hosts[host] = h
		}
		if h.note(message, at) {
			h.Error = err
		}
		sums = append(sums, &h.Sums)
	}
	return sums
}

// note keeps the later of two failures. It reports whether that is the one given.
func (s *Sums) note(message string, at time.Time) bool {
	if s.Message != "" && !at.After(s.At) {
		return false
	}
	s.Message, s.At = message, at
	return true
}

// scale makes the estimates of one set. A group of which a job was seen has at least one.
func (g *failureGroups) scale(factor float64, number func(*Sums) *int64) {
	for s := range g.sums() {
		n := number(s)
		*n = int64(float64(*n)*factor + 0.5)
	}
}

// sums are those of all groups.
func (g *failureGroups) sums() func(func(*Sums) bool) {
	return func(yield func(*Sums) bool) {
		for _, c := range g.classes {
			if !yield(&c.Sums) {
				return
			}
		}
		for _, h := range g.hosts {
			if !yield(&h.Sums) {
				return
			}
		}
	}
}

// all is how many jobs of both sets belong to the group.
func (s *Sums) all() int64 { return s.Retries + s.Dead }

func (g *failureGroups) sorted() ([]ClassFailure, []HostFailure) {
	classes, hosts := []ClassFailure{}, []HostFailure{}
	for _, c := range g.classes {
		classes = append(classes, *c)
	}
	for _, h := range slices.Collect(maps.Values(g.hosts)) {
		hosts = append(hosts, *h)
	}
	slices.SortFunc(classes, func(a, b ClassFailure) int {
		return cmp.Or(cmp.Compare(b.all(), a.all()), cmp.Compare(a.Class, b.Class),
			cmp.Compare(a.Error, b.Error))
	})
	slices.SortFunc(hosts, func(a, b HostFailure) int {
		return cmp.Or(cmp.Compare(b.all(), a.all()), cmp.Compare(a.Host, b.Host))
	})
	return classes, hosts
}

// urlHost is the host of the first URL among the arguments of a job, in small letters, or "".
func urlHost(e queue.Entry) (host string) {
	if e.Job == nil || !strings.Contains(e.Raw, `"http`) { // most jobs, without reading them
		return ""
	}
	anyText(e.Job.DisplayArgs(), func(s string) bool {
		if strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") {
			host = strings.ToLower(hostOf(s))
		}
		return host != ""
	})
	return host
}
