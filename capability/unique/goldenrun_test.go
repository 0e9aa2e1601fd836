package unique_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// goldenRun is a run by Kyu of a job that Ruby has brought to a moment.
type goldenRun struct {
	*scene
	gem     string
	kind    unique.Kind
	golden  *goldenCase
	from    string // the moment that is in Redis before the run
	end     string // the moment that Kyu brings the job to
	timeout string // its lock_timeout; only 0 in the golden payloads
	started string // what is held while it runs
	wrong   string // a problem while it runs
}

// want returns who must hold the locks at a moment. That is what the gem leaves, with the
// exceptions that are listed here.
func (r *goldenRun) want(moment string) string {
	gem, forgets := r.golden.at(moment).holders(), r.gem == "7.1.33" || r.gem == "8.0.13"
	switch {
	case moment == "retry" && r.kind == unique.UntilDone && forgets:
		// These two versions release the lock of a job that will run again. The versions before
		// and after keep it.
		return r.golden.at("started").holders()
	case r.golden.Limit == 2 && (moment == "dead" || moment == "deleted"):
		// The gem up to 8.1 removes the whole lock, and the other job loses it.
		before := map[string]string{"dead": "started", "deleted": "pushed"}[moment]
		for held := range strings.FieldsSeq(r.golden.at(before).holders()) {
			if strings.HasPrefix(held, "<other>") {
				return held
			}
		}
		return "nobody: " + gem
	}
	return gem
}

// TestGoldenRun runs jobs on from what each version of the gem leaves in Redis, and compares what
// Kyu leaves with what the same version would leave.
func TestGoldenRun(t *testing.T) {
	b := newBench(t)
	var runs []*goldenRun
	for _, g := range goldens(t) {
		for i := range g.Cases {
			for _, x := range []struct{ from, end, timeout string }{
				{"pushed", "done", "0"}, {"pushed", "done", "null"}, {"pushed", "retry", "5"},
				{"pushed", "dead", "0"}, {"pushed", "deleted", "5"}, {"scheduled", "done", "0"},
				{"retry", "done", "0"}, {"started", "done", "0"},
			} {
				s := b.scene(len(runs))
				runs = append(runs, &goldenRun{scene: s, gem: g.Gem, kind: unique.Kind(g.Lock),
					golden: &g.Cases[i], from: x.from, end: x.end, timeout: x.timeout})
			}
		}
	}
	b.raw.SAdd(t.Context(), "queues", "a")
	byJID := map[string]*goldenRun{}
	for _, r := range runs {
		byJID[r.jid] = r
		m := r.golden.at(r.from)
		r.put(m)
		raw := strings.Replace(r.payload(m.payload(r.golden)), `"lock_timeout":0`,
			`"lock_timeout":`+r.timeout, 1)
		err := b.raw.LPush(t.Context(), "queue:a", raw).Err()
		if r.end == "deleted" {
			err = errors.Join(err, b.store.DeleteFromQueue(t.Context(), "a", raw))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var running sync.Mutex // of started and wrong
	b.work(func(_ context.Context, j *queue.Job) error {
		running.Lock()
		defer running.Unlock()
		r := byJID[j.JID]
		r.started, r.wrong = r.held(), r.problem()
		switch r.end {
		case "retry":
			return errors.New("failed")
		case "dead":
			return queue.Kill(errors.New("failed"))
		}
		return nil
	})
	b.settled()
	running.Lock()
	defer running.Unlock()
	for _, r := range runs {
		t.Run(fmt.Sprintf("%s %s, %s, timeout %s, from %s to %s", r.gem, r.kind, r.golden.name(),
			r.timeout, r.from, r.end), func(t *testing.T) {
			if r.end != "deleted" && (r.started != r.want("started") || r.wrong != "") {
				t.Errorf("held while it runs: %q, want %q; %s",
					r.started, r.want("started"), r.wrong)
			}
			held, wrong := r.held(), r.problem()
			if held != r.want(r.end) || wrong != "" {
				t.Errorf("held at the end: %q, want %q; %s", held, r.want(r.end), wrong)
			}
		})
	}
}

// TestGoldenForward forwards jobs that Ruby has locked to a queue of Ruby's.
func TestGoldenForward(t *testing.T) {
	b := newBench(t)
	var raws []string
	for _, g := range goldens(t) {
		for i := range g.Cases {
			s := b.scene(len(raws))
			s.put(g.Cases[i].at("pushed"))
			raw := strings.Replace(s.payload(g.Cases[i].Job), `"Job"`, `"Other"`, 1)
			raws = append(raws, raw)
			b.raw.LPush(t.Context(), "queue:a", raw)
		}
	}
	b.raw.SAdd(t.Context(), "queues", "a")
	before := b.lasting()
	b.work(nil, func(c *worker.Config) { c.Unknown = worker.ForwardUnknown("ruby") })
	b.until("all are forwarded", func() bool {
		return b.raw.LLen(t.Context(), "queue:ruby").Val() == int64(len(raws))
	})
	t.Run("changes no lock", func(t *testing.T) { b.same("the keys", b.lasting(), before) })
	t.Run("changes nothing of the payload but the queue", func(t *testing.T) {
		for _, raw := range b.raw.LRange(t.Context(), "queue:ruby", 0, -1).Val() {
			if !slices.Contains(raws, strings.Replace(raw, `"queue":"ruby"`, `"queue":"a"`, 1)) {
				t.Errorf("%s", raw)
			}
		}
	})
}

// lasting returns the keys of locks that do not expire within seconds, with their values.
func (b *bench) lasting() string {
	var text strings.Builder
	for key := range strings.FieldsSeq(b.lockKeys()) {
		if strings.HasSuffix(key, ":QUEUED") || strings.HasSuffix(key, ":PRIMED") {
			continue
		}
		value := b.raw.Get(b.Context(), key).Val() // "" if it is no string
		value += fmt.Sprint(b.raw.HGetAll(b.Context(), key).Val(),
			b.raw.ZRangeWithScores(b.Context(), key, 0, -1).Val())
		fmt.Fprintln(&text, key, value)
	}
	return text.String()
}
