package inspect_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// shards are some Redis servers with a worker over all of them.
type shards struct {
	*testing.T
	servers map[string]*redistest.Server
	raw     map[string]*redis.Client
	fleet   *inspect.Fleet
	list    *queue.Shards
}

// newShards starts a server for each name. Its fleet is connected.
func newShards(t *testing.T, names ...string) *shards {
	t.Helper()
	s := &shards{T: t, servers: map[string]*redistest.Server{}, raw: map[string]*redis.Client{}}
	var configs []queue.ShardConfig
	for _, name := range names {
		s.servers[name] = redistest.Start(t)
		s.raw[name] = s.servers[name].Client()
		configs = append(configs, queue.ShardConfig{Name: name,
			Config: queue.Config{URL: s.servers[name].URL}})
	}
	list, err := queue.NewShards(configs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list.Close() })
	s.list, s.fleet = list, inspect.NewFleet(list)
	if err := s.fleet.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shards) sub(t *testing.T) *shards {
	c := *s
	c.T = t
	return &c
}

// member is a shard.
func (s *shards) member(name string) *inspect.Member {
	s.Helper()
	m, err := s.fleet.Member(name)
	if err != nil {
		s.Fatal(err)
	}
	return m
}

// push pushes n jobs to a queue of a shard: SHARD-QUEUE-0, ….
func (s *shards) push(shard, q string, n int) {
	s.Helper()
	client := queue.NewClient(s.member(shard).Store)
	for i := range n {
		if _, err := client.Push(s.Context(), "Job", []any{i}, queue.Options{Queue: q,
			JID: fmt.Sprintf("%s-%s-%d", shard, q, i)}); err != nil {
			s.Fatal(err)
		}
	}
}

// publish publishes the record of a process in a shard, with busy jobs of the queue a.
func (s *shards) publish(shard, identity string, pid, busy int, quiet bool) {
	s.Helper()
	owner := s.member(shard).Store.Owner(identity)
	if err := owner.Register(s.Context(), queue.Host{Name: "h", PID: pid}, []string{"a"},
		time.Minute); err != nil {
		s.Fatal(err)
	}
	r := queue.ProcessRecord{Identity: identity, Hostname: "h", PID: pid, StartedAt: started,
		Concurrency: 8, Quiet: quiet, Turned: time.Now(), Capsules: []queue.CapsuleRecord{{
			Name: "default", Concurrency: 8, Mode: "strict", Weights: map[string]int{"a": 0},
			Queues: []string{"a"}}}}
	for i := range busy {
		r.Work = append(r.Work, queue.WorkRecord{TID: fmt.Sprint(shard, "-t", i), Queue: "a",
			Payload: fmt.Sprintf(`{"class":"Job","jid":"%s-w%d","args":[]}`, shard, i),
			RunAt:   started.Add(time.Duration(i) * time.Second)})
	}
	if _, err := owner.Publish(s.Context(), r, queue.Counts{Flush: 1, Processed: 10, Failed: 2},
		time.Now()); err != nil {
		s.Fatal(err)
	}
}

// entries puts jobs into a set of a shard, with these scores: SHARD-SCORE-N.
func (s *shards) entries(shard, set string, scores ...float64) {
	s.Helper()
	for i, score := range scores {
		member := fmt.Sprintf(`{"class":"Job","queue":"a","jid":"%s-%v-%04d","args":[],`+
			`"retry":true,"created_at":1.5}`, shard, score, i)
		if err := s.raw[shard].ZAdd(s.Context(), set,
			redis.Z{Score: score, Member: member}).Err(); err != nil {
			s.Fatal(err)
		}
	}
}

// stop stops the process of a shard's server, so that it answers nothing, until the end of the
// test.
func (s *shards) stop(shard string) {
	s.Helper()
	pid := s.servers[shard].PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
}

func TestFleetStats(t *testing.T) {
	s := newShards(t, "a", "b", "c")
	s.push("a", "default", 3)
	s.push("b", "default", 2)
	s.push("c", "mail", 1)
	s.publish("a", "h:1:x", 1, 2, false)
	s.publish("b", "h:1:y", 1, 1, false)
	s.publish("c", "h:1:z", 1, 0, false)
	s.entries("a", "retry", 1, 2)
	s.entries("b", "dead", 1)
	s.entries("c", "schedule", 1)
	t.Run("are the sums of all shards, with each process once", func(t *testing.T) {
		got, err := s.fleet.Stats(t.Context())
		if err != nil || len(got.Away) > 0 {
			t.Fatal(got.Away, err)
		}
		got.DefaultLatency = 0
		same(t, "Stats", got.Stats, inspect.Stats{Processed: 30, Failed: 6, Enqueued: 6, Retries: 2,
			Dead: 1, Scheduled: 1, Processes: 1, Busy: 3})
	})
	t.Run("History sums the days", func(t *testing.T) {
		days, _, err := s.fleet.History(t.Context(), 2)
		if err != nil || len(days) != 2 {
			t.Fatal(days, err)
		}
		same(t, "Processed of today", days[0].Processed, 30)
	})
	t.Run("LiveState has the same sums", func(t *testing.T) {
		st, err := s.fleet.LiveState(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "Enqueued", st.Enqueued, 6)
		same(t, "Threads", st.Threads, 8)
		same(t, "Processes", st.Processes, 1)
		same(t, "queues", len(st.Queues), 2)
		same(t, "Size", st.Queues[0].Size, 5)
	})
	t.Run("with one shard are those of the Inspector", func(t *testing.T) {
		one, err := s.fleet.Only("a")
		if err != nil {
			t.Fatal(err)
		}
		got, err := one.Stats(t.Context())
		want, err2 := s.member("a").Stats(t.Context())
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		got.DefaultLatency, want.DefaultLatency = 0, 0
		same(t, "Stats", got.Stats, want)
	})
}

func TestFleetProcesses(t *testing.T) {
	s := newShards(t, "a", "b")
	s.publish("a", "h:1:x", 1, 2, false)
	s.publish("b", "h:1:y", 1, 1, true)
	s.publish("a", "h:2:x", 2, 0, false)
	s.raw["b"].SAdd(t.Context(), "processes", "r:3:z")
	s.raw["b"].HSet(t.Context(), "r:3:z", "info",
		`{"hostname":"r","started_at":1.5,"pid":3,"concurrency":5,"queues":["a"]}`, "busy", "1")
	list, away, err := s.fleet.Processes(t.Context())
	if err != nil || len(away) > 0 || len(list) != 3 {
		t.Fatal(list, away, err)
	}
	t.Run("have a process of two shards once, with the jobs of both", func(t *testing.T) {
		p := list[0]
		same(t, "Identity", p.Identity, "h:1:x")
		same(t, "Busy", p.Busy, 3)
		same(t, "Concurrency", p.Concurrency, 8)
		same(t, "Quiet, because it takes jobs of a", p.Quiet, false)
		same(t, "shards", fmt.Sprint(p.Records), "[{a h:1:x 2 false} {b h:1:y 1 true}]")
		same(t, "missing in", len(p.Missing), 0)
		same(t, "has its identity of b", p.Has("h:1:y"), true)
	})
	t.Run("name the shard in which a worker is missing", func(t *testing.T) {
		same(t, "missing in", strings.Join(list[1].Missing, " "), "b")
	})
	t.Run("miss none of Ruby's, which serves one Redis", func(t *testing.T) {
		same(t, "Identity", list[2].Identity, "r:3:z")
		same(t, "missing in", len(list[2].Missing), 0)
	})
	t.Run("get a signal in each shard that they serve", func(t *testing.T) {
		for _, p := range list {
			if away, err := s.fleet.Signal(t.Context(), p, "TSTP"); err != nil || len(away) > 0 {
				t.Error(away, err)
			}
		}
		for key, shard := range map[string]string{"h:1:x-signals": "a", "h:1:y-signals": "b",
			"h:2:x-signals": "a", "r:3:z-signals": "b"} {
			same(t, key, s.raw[shard].LLen(t.Context(), key).Val(), 1)
		}
	})
	t.Run("run the jobs of all shards, the longest running first", func(t *testing.T) {
		work, _, err := s.fleet.WorkInProgress(t.Context())
		var shards []string
		for _, w := range work {
			shards = append(shards, w.Shard+" "+w.TID)
		}
		same(t, "jobs", fmt.Sprint(shards, err), "[a a-t0 b b-t0 a a-t1] <nil>")
	})
}

func TestFleetQueues(t *testing.T) {
	s := newShards(t, "a", "b")
	s.push("a", "a", 3)
	s.push("b", "a", 2)
	s.push("b", "low", 1)
	s.publish("a", "h:1:x", 1, 2, false)
	s.publish("b", "h:1:y", 1, 1, false)
	t.Run("are sums, with the threads of each process once", func(t *testing.T) {
		list, _, err := s.fleet.QueueStatus(t.Context())
		if err != nil || len(list) != 2 {
			t.Fatal(list, err)
		}
		q := list[0]
		same(t, "Size", q.Size, 5)
		same(t, "Threads", q.Threads, 8)
		same(t, "Busy", q.Busy, 3)
		same(t, "Processes", strings.Join(q.Processes, " "), "h:1:x")
		same(t, "shards", len(q.Shards), 2)
		same(t, "Size in b", q.Shards[1].Size, 2)
		same(t, "State of low", list[1].State(), "unserved")
	})
	t.Run("Pause pauses a queue in all shards, and Unpause ends it", func(t *testing.T) {
		away, err := s.fleet.Pause(t.Context(), "a")
		if err != nil || len(away) > 0 {
			t.Fatal(away, err)
		}
		for name := range s.raw {
			same(t, "paused in "+name, s.raw[name].SIsMember(t.Context(), "paused", "a").Val(),
				true)
		}
		if _, err := s.fleet.Unpause(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		same(t, "paused", s.raw["b"].SIsMember(t.Context(), "paused", "a").Val(), false)
	})
	t.Run("a queue that is paused in one shard is paused there", func(t *testing.T) {
		if err := s.member("b").Store.Pause(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		q, _, err := s.fleet.Queue(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "Paused", q.Paused, true)
		same(t, "PausedIn", q.PausedIn(), "b")
	})
}

func TestFleetSet(t *testing.T) {
	s := newShards(t, "a", "b", "c")
	for _, set := range []string{"retry", "dead"} {
		s.entries("a", set, 5, 1, 3, 7, 7, 7)
		s.entries("b", set, 2, 4, 7, 7, -1)
		s.entries("c", set, 7, 8, 9, 9, 0)
	}
	for _, c := range []struct {
		name  string
		set   inspect.FleetSet
		order string
	}{
		{"retries from the first that is due on", s.fleet.Set((*inspect.Inspector).RetrySet),
			"b-1 c0 a1 b2 a3 b4 a5 a7 a7 a7 b7 b7 c7 c8 c9 c9"},
		{"dead jobs from the last that died on", s.fleet.Set((*inspect.Inspector).DeadSet),
			"c9 c9 c8 a7 a7 a7 b7 b7 c7 a5 b4 a3 b2 a1 c0 b-1"},
	} {
		t.Run("has "+c.name, func(t *testing.T) {
			whole, err := c.set.Page(t.Context(), 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "Total", whole.Total, 16)
			same(t, "the order", order(whole.Entries), c.order)
			for offset := range int64(17) {
				p, err := c.set.Page(t.Context(), offset, 3)
				if err != nil {
					t.Fatal(err)
				}
				want := whole.Entries[offset:min(offset+3, 16)]
				if !slices.EqualFunc(p.Entries, want, func(a, b inspect.FleetEntry) bool {
					return a.Raw == b.Raw && a.Shard == b.Shard
				}) {
					t.Errorf("from %d on: %s, want %s", offset, order(p.Entries), order(want))
				}
			}
		})
	}
	t.Run("Search has the jobs of a filter in order, and counts them", func(t *testing.T) {
		f, err := inspect.ParseFilter("jid:*-7-*")
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.fleet.Set((*inspect.Inspector).RetrySet).Search(t.Context(), f, time.Now(), 1,
			3)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "Total", p.Total, 6)
		same(t, "the order", order(p.Entries), "a7 a7 b7")
	})
}

// order are the shards and scores of entries.
func order(list []inspect.FleetEntry) string {
	var text []string
	for _, e := range list {
		text = append(text, e.Shard+fmt.Sprint(e.At.Unix()))
	}
	return strings.Join(text, " ")
}

func TestFleetSearch(t *testing.T) {
	s := newShards(t, "a", "b")
	s.push("a", "q", 1)
	s.push("b", "q", 2)
	s.entries("b", "retry", 2e9)
	t.Run("finds jobs in all shards, and names the shards", func(t *testing.T) {
		got, err := s.fleet.Search(t.Context(), inspect.Filter{}, 10)
		if err != nil || len(got.Found) != 4 || got.More {
			t.Fatal(got, err)
		}
		same(t, "the first", got.Found[0].Shard, "a")
		same(t, "the last", got.Found[3].Shard, "b")
	})
	t.Run("says that there are more than its limit", func(t *testing.T) {
		got, err := s.fleet.Search(t.Context(), inspect.Filter{}, 2)
		if err != nil || len(got.Found) != 2 || !got.More {
			t.Error(got, err)
		}
	})
	t.Run("Locate finds a job in its shard", func(t *testing.T) {
		m, p, j, err := s.fleet.Locate(t.Context(), "b-q-1")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the shard", m.Name, "b")
		same(t, "the queue", p.Queue, "q")
		same(t, "JID", j.JID, "b-q-1")
	})
	t.Run("Locate says that a job is nowhere, and which shard was not searched",
		func(t *testing.T) {
			s := s.sub(t)
			_, _, _, err := s.fleet.Locate(t.Context(), "none")
			same(t, "not found", errors.Is(err, queue.ErrNotFound), true)
			s.servers["b"].Kill()
			_, _, _, err = s.fleet.Locate(t.Context(), "b-q-1")
			if !errors.Is(err, queue.ErrNotFound) || !strings.Contains(err.Error(),
				"shard b: away:") {
				t.Error(err)
			}
		})
}

func TestFleetAway(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *shards)
		says string
	}{
		{"a killed server", func(s *shards) { s.servers["b"].Kill() }, "connect"},
		{"a server that hangs", func(s *shards) { s.stop("b") }, "not answered for 900ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShards(t, "a", "b", "c")
			s.push("a", "q", 3)
			s.push("b", "q", 2)
			s.push("c", "q", 1)
			c.end(s)
			began := time.Now()
			stats, err := s.fleet.Stats(t.Context())
			_, away, err2 := s.fleet.QueueStatus(t.Context())
			page, err3 := s.fleet.Set((*inspect.Inspector).RetrySet).Page(t.Context(), 0, 5)
			status, err4 := s.fleet.Status(t.Context())
			if err := errors.Join(err, err2, err3, err4); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 1500*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			same(t, "Enqueued of the others", stats.Enqueued, 4)
			for _, list := range [][]inspect.Away{stats.Away, away, page.Away} {
				if len(list) != 1 || list[0].Shard != "b" ||
					!strings.Contains(list[0].String(), "shard b: away: ") ||
					!strings.Contains(list[0].Error, c.says) {
					t.Errorf("away: %v", list)
				}
			}
			if len(status) != 3 || status[1].Away == "" || status[0].Enqueued != 3 {
				t.Errorf("%+v", status)
			}
			found, err := s.fleet.Stuck(t.Context(), 0)
			if err != nil || len(found) == 0 || found[0].Where != "shard b" {
				t.Error(found, err)
			}
		})
	}
	t.Run("a shard that comes back is asked again", func(t *testing.T) {
		s := newShards(t, "a", "b")
		s.servers["b"].Kill()
		if _, away := s.fleet.Here(t.Context()); len(away) != 1 {
			t.Fatal(away)
		}
		s.servers["b"].Restart()
		ticks := time.NewTicker(50 * time.Millisecond)
		defer ticks.Stop()
		for began := time.Now(); ; <-ticks.C {
			_, away := s.fleet.Here(t.Context())
			if len(away) == 0 {
				return
			}
			if time.Since(began) > 10*time.Second {
				t.Fatal(away)
			}
		}
	})
	t.Run("all shards away is an error that names them", func(t *testing.T) {
		s := newShards(t, "a", "b")
		s.servers["a"].Kill()
		s.servers["b"].Kill()
		_, err := s.fleet.Stats(t.Context())
		if err == nil || !strings.Contains(err.Error(), "shard a: ") ||
			!strings.Contains(err.Error(), "shard b: ") {
			t.Error(err)
		}
	})
	t.Run("a fleet begins without one of its shards", func(t *testing.T) {
		a := redistest.Start(t)
		list, err := queue.NewShards([]queue.ShardConfig{{Name: "a",
			Config: queue.Config{URL: a.URL}}, {Name: "b",
			Config: queue.Config{URL: "redis://127.0.0.1:1"}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { list.Close() })
		fleet := inspect.NewFleet(list)
		if err := fleet.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		here, away := fleet.Here(t.Context())
		same(t, "here", len(here), 1)
		same(t, "away", len(away), 1)
	})
}
