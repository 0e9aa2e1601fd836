package interop

import (
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/harness"
)

//go:embed cron.rb
var cronRB string

// TestSidekiqCron runs Debian's sidekiq-cron and Kyu's workers with one entry in one Redis. The
// workers are killed now and then, so that Ruby has its turn too.
func TestSidekiqCron(t *testing.T) {
	s := harness.New(t)
	worker := filepath.Join(harness.Bin, "worker")
	program, schedule := filepath.Join(s.Dir, "cron.rb"), filepath.Join(s.Dir, "schedule.yml")
	// A worker that comes back makes up for what Ruby, which polls, has left out.
	own := "entries:\n  shared job: {cron: '*/2 * * * * *', class: 'Shared::Job', queue: shared, " +
		"args: [1], misfire: all, beside: sidekiq-cron}\n"
	s.Must(os.WriteFile(program, []byte(cronRB), 0o600))
	s.Must(os.WriteFile(schedule, []byte(own), 0o600))
	env := []string{"REDIS_URL=" + s.Server.Admin, "CRON=*/2 * * * * *"}
	var rubies []*harness.Process
	for range 2 {
		rubies = append(rubies, s.StartWith(env, "sidekiq", "-r", program, "-q", "nobody", "-c", "1"))
	}
	for _, p := range rubies {
		s.Until(30*time.Second, "Ruby has started", func() bool { return p.Says("are loaded") })
	}
	byRuby := func() int { return len(jids(s, "ruby")) }
	s.Until(60*time.Second, "Ruby has pushed", func() bool { return byRuby() > 1 })
	for round := 1; round <= 3; round++ {
		var workers []*harness.Process
		for range 2 {
			workers = append(workers, s.Start(worker, "-q", "nobody", "--schedule", schedule))
		}
		want := len(jids(s, "go")) + 3
		s.Until(60*time.Second, "Kyu has pushed", func() bool { return len(jids(s, "go")) >= want })
		for _, w := range workers {
			w.Kill()
		}
		want = byRuby() + 2
		s.Until(60*time.Second, "Ruby has pushed", func() bool { return byRuby() >= want })
	}
	last := s.Start(worker, "-q", "nobody", "--schedule", schedule)
	want := len(jids(s, "go")) + 2
	s.Until(60*time.Second, "Kyu has pushed", func() bool { return len(jids(s, "go")) >= want })
	for _, p := range append(rubies, last) {
		p.Kill()
	}
	t.Run("pushes each slot once, whoever pushes it", func(t *testing.T) { countShared(s.With(t)) })
	t.Run("shows Kyu's pushes on Ruby's page", func(t *testing.T) {
		last := s.Raw.HGet(t.Context(), "cron_job:shared job", "last_enqueue_time").Val()
		if at, err := time.Parse("2006-01-02 15:04:05 -0700", last); err != nil ||
			time.Since(at) > time.Minute {
			t.Error(last, err)
		}
	})
}

// jids returns the jobs of the queue that Ruby or Go pushed.
func jids(s *harness.Site, by string) (list []string) {
	for _, raw := range s.Raw.LRange(s.Context(), "queue:shared", 0, -1).Val() {
		j, err := envelope.ParseJob(raw)
		s.Must(err)
		if strings.Contains(j.Field("kyu"), "shared job") == (by == "go") {
			list = append(list, j.JID)
		}
	}
	return list
}

// countShared compares the slots that were claimed with the jobs, from the first slot of Ruby on.
func countShared(s *harness.Site) {
	members := s.Raw.ZRangeWithScores(s.Context(), "cron_job:shared job:enqueued", 0, -1).Val()
	// sidekiq-cron notes the slot before its start as claimed, and pushes nothing for it.
	slots := members[1:]
	for i, m := range slots[1:] {
		if gap := m.Score - slots[i].Score; gap > 2 && m.Score > firstByKyu(s) {
			s.Errorf("no slot between %v and %v", slots[i].Member, m.Member)
		}
	}
	ruby, kyu := len(jids(s, "ruby")), len(jids(s, "go"))
	s.Equal("jobs", ruby+kyu, len(slots))
	s.Logf("%d slots: Ruby pushed %d, Kyu %d", len(slots), ruby, kyu)
}

// firstByKyu is the first slot from which on Kyu knows the entry. Before it only Ruby polls.
func firstByKyu(s *harness.Site) float64 {
	list := s.Raw.LRange(s.Context(), "kyu:cron:shared job:runs", -1, -1).Val()
	slot, _, _ := strings.Cut(list[0], " ")
	first, err := time.ParseDuration(slot + "ms")
	s.Must(err)
	return first.Seconds()
}
