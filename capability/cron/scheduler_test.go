package cron

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// buffer is a log that several goroutines write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), text)
}

func TestScheduler(t *testing.T) {
	t.Run("pushes the job of each slot once, from any number of processes", func(t *testing.T) {
		f := newFixture(t)
		stop := f.run(f.scheduler(nil, secondly("a")), f.scheduler(nil, secondly("a")),
			f.scheduler(nil, secondly("a")))
		f.until(10*time.Second, "three jobs are there", func() bool {
			return len(f.jobs("default")) >= 3
		})
		stop()
		f.consecutive("default", "a")
	})
	t.Run("does not make up for slots before the entry was known", func(t *testing.T) {
		f := newFixture(t)
		s := f.scheduler(nil, Entry{Name: "a", Every: time.Hour, Class: "Job", Misfire: All})
		stop := f.run(s)
		f.until(10*time.Second, "the entry is known", func() bool {
			return f.raw.HExists(t.Context(), "kyu:cron:a", "last").Val()
		})
		stop()
		same(t, "jobs", len(f.jobs("default")), 0)
	})
	t.Run("refuses a schedule with problems", func(t *testing.T) {
		_, err := New(Config{Schedule: Schedule{Entries: []Entry{{Name: "a"}, {Name: "a",
			Every: time.Hour, Class: "A"}}}})
		if err == nil || !strings.Contains(err.Error(), "two entries") ||
			!strings.Contains(err.Error(), "one of cron and every") {
			t.Error(err)
		}
	})
	t.Run("leaves entries to the processes that serve their queues", func(t *testing.T) {
		s, err := New(Config{Client: queue.NewClient(nowhere{}),
			Schedule: Schedule{ListenedQueuesOnly: true, Entries: []Entry{
				{Name: "a", Every: time.Hour, Class: "A"}, {Name: "b", Every: time.Hour, Class: "B",
					Queue: "low"}}}, Queues: []string{"low"}})
		same(t, "entries", fmt.Sprint(len(s.tracks), s.tracks[0].entry.Name, err), "1b<nil>")
	})
}

// consecutive checks that the jobs of an entry that is due each second have all slots from the
// first to the last, each once.
func (f *fixture) consecutive(list, name string) (n int) {
	f.Helper()
	slots := map[int64]int{}
	first, last := int64(1<<62), int64(0)
	for _, j := range f.jobs(list) {
		var m struct {
			Cron string
			Slot int64
		}
		if decode(j.Field("kyu"), &m); m.Cron != name {
			continue
		}
		slots[m.Slot]++
		first, last = min(first, m.Slot), max(last, m.Slot)
	}
	for at := first; at <= last; at += 1000 {
		if slots[at] != 1 {
			f.Errorf("entry %s: the slot %d was pushed %d times", name, at, slots[at])
		}
	}
	return len(slots)
}

// TestDown sets the last slot of entries three hours back, as if no process had been there since.
func TestDown(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	cron := fmt.Sprintf("%d * * * *", now.Add(-30*time.Minute).UTC().Minute())
	entry := func(m Misfire) Entry {
		return Entry{Name: string(m), Cron: cron, Class: "Job", Queue: string(m), Misfire: m}
	}
	entries := []Entry{entry(Once), entry(Skip), entry(All)}
	for _, s := range []string{"before", "after"} {
		stop := f.run(f.scheduler(nil, entries...))
		f.until(10*time.Second, "the entries are known "+s, func() bool {
			return f.raw.HGet(t.Context(), "kyu:cron-owner:default", "given").Val() == map[string]string{
				"before": "1", "after": "2"}[s] && f.raw.SCard(t.Context(), "kyu:cron").Val() == 3 &&
				(s == "before" || len(f.jobs("all")) == 3 && len(f.jobs("once")) == 1)
		})
		stop()
		if s == "before" {
			for _, e := range entries {
				f.raw.HSet(t.Context(), "kyu:cron:"+e.Name, "last", now.Add(-3*time.Hour).UnixMilli())
			}
		}
	}
	for name, want := range map[string]int{"once": 1, "skip": 0, "all": 3} {
		t.Run(fmt.Sprint("for three hours costs ", name, " pushes as its policy says: ", want),
			func(t *testing.T) { same(t, "jobs", len(f.jobs(name)), want) })
	}
}

func TestOutage(t *testing.T) {
	f := newFixture(t, "--appendonly", "yes", "--appendfsync", "always")
	log := &buffer{}
	stop := f.run(f.scheduler(log, secondly("a")))
	f.until(10*time.Second, "a job is there", func() bool { return len(f.jobs("default")) > 0 })
	f.server.Kill()
	f.until(10*time.Second, "the outage is logged", func() bool {
		return log.count("cannot be pushed") > 0
	})
	f.server.Restart()
	f.until(20*time.Second, "jobs are pushed again", func() bool {
		return log.count("are pushed again") > 0 && f.raw.LLen(t.Context(), "queue:default").Val() > 3
	})
	stop()
	t.Run("is logged once going down and once coming up", func(t *testing.T) {
		same(t, "lines", fmt.Sprint(log.count("cannot be pushed"), log.count("pushed again")), "1 1")
	})
	t.Run("loses no slot of an entry that makes up for all", func(t *testing.T) {
		f.in(t).consecutive("default", "a")
	})
}

func TestDeploys(t *testing.T) {
	f := newFixture(t)
	log := &buffer{}
	old := secondly("a")
	old.Queue = "old"
	stopOld := f.run(f.scheduler(log, old), f.scheduler(log, old))
	f.until(10*time.Second, "the old version pushes", func() bool { return len(f.jobs("old")) > 1 })
	now := secondly("a")
	now.Queue = "new"
	stopNew := f.run(f.scheduler(nil, now, secondly("b")))
	f.until(20*time.Second, "the new version pushes, and the old ones know", func() bool {
		return len(f.jobs("new")) > 1 && log.count("deployed later") == 2
	})
	before := len(f.jobs("old"))
	f.until(10*time.Second, "the new version pushes more", func() bool {
		return len(f.jobs("new")) > 3
	})
	stopNew()
	stopOld()
	t.Run("of different versions at once push by the last one only", func(t *testing.T) {
		same(t, "jobs of the old version", len(f.jobs("old")), before)
		for _, raw := range f.raw.LRange(t.Context(), "queue:new", 0, -1).Val() {
			f.raw.LPush(t.Context(), "queue:both", raw)
		}
		for _, raw := range f.raw.LRange(t.Context(), "queue:old", 0, -1).Val() {
			f.raw.LPush(t.Context(), "queue:both", raw)
		}
		f.in(t).consecutive("both", "a")
	})
	t.Run("go on with the old version when the processes of the new one are gone",
		func(t *testing.T) {
			f.raw.HSet(t.Context(), "kyu:cron-owner:default", "seen",
				time.Now().Add(-2*goneAfter).UnixMilli())
			stop := f.run(f.scheduler(nil, old))
			f.until(10*time.Second, "the old version pushes", func() bool {
				return len(f.jobs("old")) > before
			})
			stop()
		})
}

func TestFlushed(t *testing.T) {
	t.Run("Redis is filled again", func(t *testing.T) {
		f := newFixture(t)
		stop := f.run(f.scheduler(nil, secondly("a")))
		f.until(10*time.Second, "a job is there", func() bool { return len(f.jobs("default")) > 0 })
		f.raw.FlushAll(t.Context())
		f.until(10*time.Second, "jobs are there again", func() bool {
			return len(f.jobs("default")) > 1
		})
		stop()
		f.consecutive("default", "a")
	})
}
