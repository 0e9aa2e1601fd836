package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// namesShown is how many names an error lists at most.
const namesShown = 10

// withNames adds to the error of a name that does not exist those that are like it, or some that
// exist.
func (c *call) withNames(ctx context.Context, err error, word string, list candidates) error {
	if !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	names, failed := c.everywhere(ctx, list, nil)
	if failed != nil || len(names) == 0 {
		return err
	}
	if meant := orMeant(word, names); meant != "" {
		return fmt.Errorf("%w: %s", err, meant)
	}
	more := ""
	if len(names) > namesShown {
		names, more = names[:namesShown], ", …"
	}
	return fmt.Errorf("%w: there are %s%s", err, strings.Join(names, ", "), more)
}

// knownQueue refuses the name of a queue that has no jobs, never had any, and that no process
// serves: it is probably a mistake.
func (c *call) knownQueue(ctx context.Context, info inspect.QueueInfo) error {
	if info.Size > 0 || info.Paused {
		return nil
	}
	names, err := c.everywhere(ctx, allQueues, nil)
	if err != nil || slices.Contains(names, info.Name) {
		return err
	}
	err = c.withNames(ctx, fmt.Errorf("queue %s: %w", info.Name, queue.ErrNotFound), info.Name,
		allQueues)
	return fmt.Errorf("%w; with --force a name may be one that no queue has yet", err)
}

// allQueues are the queues into which jobs were pushed, and those that processes serve.
func allQueues(ctx context.Context, c *call, _ []string) ([]string, error) {
	names, err := queueNames(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	processes, err := c.inspector.Processes(ctx)
	for _, p := range processes {
		names = append(names, p.Queues...)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// knownHeld refuses a class of which no job is held.
func (c *call) knownHeld(ctx context.Context, class string) error {
	names, err := c.everywhere(ctx, heldNames, nil)
	if err != nil || slices.Contains(names, class) {
		return err
	}
	return c.withNames(ctx, fmt.Errorf("held jobs of the class %s: %w", class, queue.ErrNotFound),
		class, heldNames)
}

// knownClass refuses a class that no worker knows, and that has not run as long as there are
// metrics.
func (c *call) knownClass(ctx context.Context, class string) error {
	names, err := c.everywhere(ctx, allClasses, nil)
	if err != nil || slices.Contains(names, class) {
		return err
	}
	return c.withNames(ctx, fmt.Errorf("class %s: %w", class, queue.ErrNotFound), class,
		allClasses)
}

// allClasses are the classes that have run as long as there are metrics, and those that workers of
// Kyu know.
func allClasses(ctx context.Context, c *call, _ []string) (names []string, err error) {
	ran, err := c.inspector.Metrics(ctx, inspect.MaxMetrics, time.Now())
	if err != nil {
		return nil, err
	}
	for _, class := range ran {
		names = append(names, class.Class)
	}
	served, err := c.inspector.Served(ctx)
	for _, worker := range served {
		names = append(names, worker.Classes...)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// knownJob refuses a job that is nowhere. It looks first where that is cheap: at jobs that run or
// have begun to iterate. Else it reads all jobs until it finds this one.
func (c *call) knownJob(ctx context.Context, jid string) error {
	_, begun, err := c.store.Iteration(ctx, jid)
	if err != nil || begun {
		return err
	}
	work, err := c.inspector.WorkInProgress(ctx)
	if err != nil || slices.ContainsFunc(work, func(w inspect.Work) bool {
		return w.Job != nil && w.Job.JID == jid
	}) {
		return err
	}
	_, _, err = c.inspector.Locate(ctx, jid)
	if errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%w; with --force a job may be one that comes later", err)
	}
	return err
}
