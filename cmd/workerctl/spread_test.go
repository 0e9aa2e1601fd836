package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// eachOnce are processes of one Redis.
func eachOnce(list []inspect.Process) (all []inspect.FleetProcess) {
	for _, p := range list {
		all = append(all, inspect.FleetProcess{Process: p})
	}
	return all
}

// withShards is a terminal beside some empty shards. in has a terminal for the data of each.
func withShards(t *testing.T, names ...string) (s *terminal, in map[string]*terminal) {
	s, in = &terminal{T: t, vars: map[string]string{"KYU_SHARDS": strings.Join(names, " ")}},
		map[string]*terminal{}
	for _, name := range names {
		server := redistest.Start(t)
		in[name] = &terminal{T: t, redis: server, raw: server.Client()}
		s.vars["KYU_SHARD_"+strings.ToUpper(name)+"_URL"] = server.URL
	}
	return s, in
}

// processIn writes the record of a worker into a shard.
func (s *terminal) processIn(identity string, busy int) {
	s.Helper()
	parts := strings.Split(identity, ":")
	s.raw.SAdd(s.Context(), "processes", identity)
	s.raw.HSet(s.Context(), identity, "info", fmt.Sprintf(`{"hostname":%q,"pid":%s,`+
		`"started_at":1.5,"concurrency":8,"queues":["default"]}`, parts[0], parts[1]), "busy", busy,
		"beat", time.Now().Unix(), "turned", time.Now().Unix())
}

// rows runs a command line, and returns its JSON.
func (s *terminal) rows(line string) (list []map[string]any) {
	s.Helper()
	out, errs, code := s.run(strings.Fields(line + " --json")...)
	if code != 0 || json.Unmarshal([]byte(out), &list) != nil {
		s.Fatalf("workerctl %s: exit code %d\n%s%s", line, code, out, errs)
	}
	return list
}

func TestShards(t *testing.T) {
	s, in := withShards(t, "a", "b")
	for _, line := range []string{"push Class --jid a1 --shard a", "push Class --jid a2 --shard a",
		"push Class --jid b1 --shard b"} {
		s.ok("", line)
	}
	in["a"].store("retry", "Class", "ra")
	in["b"].store("retry", "Class", "rb")
	in["a"].processIn("h:1:x", 2)
	in["b"].processIn("h:1:y", 1)
	t.Run("stats are sums, and of one shard with --shard", func(t *testing.T) {
		s := s.of(t)
		out := s.ok("PROCESSED", "stats")
		if row := strings.Fields(strings.Split(out, "\n")[1]); strings.Join(row[:9], " ") !=
			"0 0 0 3 3 2 0 0 1" {
			t.Errorf("the sums: %s", out)
		}
		s.ok(`"enqueued": 2`, "stats --json --shard a")
	})
	t.Run("an unknown shard is an error that names those that there are", func(t *testing.T) {
		s.of(t).fails(2, "--shard c: KYU_SHARDS has a, b", "stats --shard c")
		withRedis(t).fails(2, "KYU_SHARDS is not set", "stats --shard c")
	})
	t.Run("queues are sums", func(t *testing.T) {
		list := s.of(t).rows("queues")
		if len(list) != 1 || list[0]["size"] != 3.0 || list[0]["threads"] != 8.0 {
			t.Errorf("%v", list)
		}
		s.of(t).ok("a=2 b=1", "queues -o wide")
	})
	t.Run("a process is one row, with the jobs of each shard", func(t *testing.T) {
		list := s.of(t).rows("processes")
		if len(list) != 1 || list[0]["busy"] != 3.0 || len(list[0]["shards"].([]any)) != 2 {
			t.Errorf("%v", list)
		}
		s.of(t).ok("a=2 b=1", "processes")
	})
	t.Run("lists of jobs have the shard", func(t *testing.T) {
		for _, line := range []string{"retries", "find class:Class", "queue default"} {
			out := s.of(t).ok("SHARD  JID", line)
			s.of(t).ok(`"shard": "b"`, line+" --json")
			if strings.Count(out, "SHARD") != 1 {
				t.Errorf("%s: %s", line, out)
			}
		}
	})
	t.Run("a job is found in its shard", func(t *testing.T) {
		s.of(t).ok("in the queue default", "job b1")
		s.of(t).ok(`"shard":"b"`, "job b1 -o jsonl")
		s.of(t).ok("rb", "retries show rb")
		s.of(t).fails(1, "not found", "job none")
	})
	t.Run("jobs of several shards are changed by one command", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "1 of the 3 jobs: not found in retries: none", "retries kill ra rb none")
		for name := range in {
			if in[name].size("dead") != 1 || in[name].size("retry") != 0 {
				t.Errorf("shard %s: %d dead, %d retries", name, in[name].size("dead"),
					in[name].size("retry"))
			}
		}
		s.input = "y\n"
		out := s.ok("all 2 jobs of dead?", "dead retry --all")
		if strings.Count(out, "[y/N]") != 1 || !strings.Contains(out, "1 jobs of dead in shard b") {
			t.Errorf("%s", out)
		}
		s.ok("kill", "queue default kill rb")
	})
	t.Run("a deletion is undone in its shard", func(t *testing.T) {
		s := s.of(t)
		out := s.ok("delete rb of dead in shard b", "dead delete rb")
		_, id, _ := strings.Cut(out, "undo: workerctl ")
		s.ok("shard b: restored 1 jobs", strings.TrimSuffix(strings.TrimSpace(id), ")"))
		if in["b"].size("dead") != 1 {
			t.Error("the job is not back")
		}
		s.ok("SHARD", "operations")
	})
	t.Run("a queue is paused in all shards, also where it has no jobs", func(t *testing.T) {
		s := s.of(t)
		s.ok("", "push Class --queue lonely --shard a")
		s.ok("shard b: paused lonely", "queue lonely --pause")
		for name := range in {
			if !in[name].raw.SIsMember(t.Context(), "paused", "lonely").Val() {
				t.Errorf("not paused in %s", name)
			}
		}
		s.ok("paused", "queues")
		s.ok("", "queue lonely --unpause --shard a")
		s.ok("paused in b", "queues")
	})
	t.Run("a signal goes to all shards of a process", func(t *testing.T) {
		s.of(t).ok("TSTP → h:1:x", "quiet h:1:y")
		for name, id := range map[string]string{"a": "h:1:x", "b": "h:1:y"} {
			if in[name].raw.LLen(t.Context(), id+"-signals").Val() != 1 {
				t.Errorf("no signal in %s", name)
			}
		}
	})
	t.Run("push places jobs on active shards, the same id always on the same", func(t *testing.T) {
		s := s.of(t)
		var first string
		for range 3 {
			out, _, _ := s.run("push", "Class", "--jid", "same", "--json")
			if first == "" {
				first = out
			}
			if out != first || !strings.Contains(out, `"shard"`) {
				t.Errorf("%s, want %s", out, first)
			}
		}
	})
	t.Run("every command that asks Redis runs over several shards", func(t *testing.T) {
		for _, line := range []string{"explain", "held", "locks", "locks --orphans", "lanes",
			"cron",
			"audit", "classes", "metrics", "deploys", "deploy v1", "runs", "busy",
			"scheduled", "retries list", "operations", "processes --clean", "stats --days 2",
			"lanes set other key=args.0,max=1 --force", "lanes other", "lanes drain other --yes"} {
			out, errs, code := s.of(t).run(strings.Fields(line)...)
			if code != 0 {
				t.Errorf("workerctl %s: exit code %d: %s%s", line, code, out, errs)
			}
		}
		s.of(t).fails(2, "give --shard with one of a, b", "cron import")
		s.of(t).ok("", "cron import --shard a")
	})
	t.Run("a hostile name of a class cannot steer the terminal", func(t *testing.T) {
		in["b"].raw.ZAdd(t.Context(), "retry", redis.Z{Score: 2e9,
			Member: `{"class":"\u001b[31mRed",` +
				`"jid":"hostile","queue":"default","args":[]}`})
		if out := s.of(t).ok("hostile", "retries"); strings.Contains(out, "\x1b") {
			t.Errorf("%q", out)
		}
	})
}

func TestShardAway(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*terminal)
	}{
		{"killed", func(s *terminal) { s.redis.Kill() }},
		{"stopped", func(s *terminal) {
			pid := s.redis.PID()
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				s.Fatal(err)
			}
			s.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := withShards(t, "a", "b")
			s.T = t
			s.ok("", "push Class --jid a1 --shard a")
			s.ok("", "push Class --jid b1 --shard b")
			c.end(in["b"])
			for _, l := range []struct {
				line, out string
				code      int
			}{
				{"stats", "PROCESSED", 0}, {"queues", "default", 0}, {"retries", "SHARD", 0},
				{"explain", "PROCESS", 0},
				{"queue default --pause", "shard a: paused default", 1},
				{"stuck", "shard b", 1}, {"find class:Class", "a1", 1}, {"job b1", "", 1},
				{"retries delete --all --yes", "delete: 0 jobs", 1}, {"deploy v1", "marked", 1},
			} {
				began := time.Now()
				out, errs, code := s.run(strings.Fields(l.line)...)
				took := time.Since(began)
				if code != l.code || !strings.Contains(out, l.out) ||
					!strings.Contains(out+errs, "away") || !strings.Contains(out+errs, "shard b") {
					t.Errorf("workerctl %s: exit code %d, want %d, %q and that b is away in\n%s%s",
						l.line, code, l.code, l.out, out, errs)
				}
				if took > 1800*time.Millisecond {
					t.Errorf("workerctl %s took %v", l.line, took)
				}
			}
			s.ok("", "push Class")
			s.fails(1, "shard b: away", "push Class --jid x")
			s.exits(2, "shard b: away", "doctor")
		})
	}
}

// TestRecorder has what the table of several shards looks like.
func TestRecorder(t *testing.T) {
	var out strings.Builder
	c := &call{out: &out}
	r := newRecorder(c)
	for _, shard := range []string{"a", "b"} {
		r.begin(shard)
		table := c.table()
		if shard == "a" {
			table.row("QUEUE", "SIZE")
			table.row("q", 1)
		} else {
			table.row("QUEUE", "PARKED", "SIZE")
			table.row("q", 7, 2)
		}
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(c.out, "1 to 1 of 1")
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	want := "SHARD  QUEUE  PARKED  SIZE\na      q              1\nb      q      7       2\n" +
		"shard a: 1 to 1 of 1\nshard b: 1 to 1 of 1\n"
	if out.String() != want {
		t.Errorf("%s, want\n%s", out.String(), want)
	}
}
