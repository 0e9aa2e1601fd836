package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// resolveSchedule reads the file of --schedule or of the key schedule_file, or else takes the
// schedule of the program. The section :scheduler: of a sidekiq.yml alone schedules nothing: Ruby
// processes may already push its jobs.
func (s *settings) resolveSchedule(own *cron.Schedule) {
	path := s.pick("schedule file", "schedule", "schedule_file", "")
	switch {
	case path != "":
		schedule, err := cron.Load(s.o.path(path), s.environment)
		if err != nil {
			for _, line := range problemLines(err) {
				s.env.Problem("%s", line)
			}
			return
		}
		own = &schedule
	case own == nil:
		if s.f.value("scheduler") != nil || s.f.value("schedule") != nil {
			s.warnings = append(s.warnings, s.f.path+": its schedule has no effect here unless "+
				"--schedule names the file (docs/cron.md)")
		}
		return
	}
	if err := own.Check(); err != nil {
		s.env.Problem("%w", err)
	}
	s.schedule = own
	s.warnings = append(s.warnings, own.Notes...)
	s.env.Note("schedule", fmt.Sprintf("%d entries", len(own.Entries)), path)
}

// scheduler returns the Scheduler of the schedule, or nil without one. One of the shards holds the
// state of the schedule, and gets its jobs.
func (s *settings) scheduler(shards *queue.Shards, log *slog.Logger) (*cron.Scheduler, error) {
	if s.schedule == nil {
		return nil, nil
	}
	var queues []string
	for _, c := range s.worker.Capsules {
		for _, q := range c.Queues {
			queues = append(queues, q.Name)
		}
	}
	log.Info("Pushing scheduled jobs", "entries", len(s.schedule.Entries),
		"listened_queues_only", s.schedule.ListenedQueuesOnly)
	return cron.New(cron.Config{Store: cron.Home(shards, *s.schedule).Store, Schedule: *s.schedule,
		Queues: queues, Logger: log})
}

// beside runs the worker and, if there is one, the scheduler, which ends when the worker has ended.
func beside(ctx context.Context, runner *worker.Runner, scheduler *cron.Scheduler) error {
	if scheduler == nil {
		return runner.Run(ctx)
	}
	until, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- scheduler.Run(until) }() // ends with until, below
	err := runner.Run(ctx)
	stop()
	if scheduled := <-done; err == nil {
		err = scheduled
	}
	return err
}
