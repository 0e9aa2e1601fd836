package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

const pageSize = 25

func (c *ctl) push(ctx context.Context, words []string) error {
	if len(words) == 0 || len(words) > 2 {
		return fmt.Errorf("%w: push CLASS [JSON-ARGS]: want a class and at most one array of "+
			"arguments", errUsage)
	}
	var args []any
	if len(words) == 2 {
		raw, err := envelope.SplitArgs(json.RawMessage(words[1]))
		if err != nil {
			return fmt.Errorf("%w: push: %q is not a JSON array, such as '[1,\"a\"]'",
				errUsage, words[1])
		}
		for _, a := range raw {
			args = append(args, a)
		}
	}
	o := queue.Options{Queue: c.queue, JID: c.jid, Idempotent: c.jid != ""}
	if err := c.pushOptions(&o); err != nil {
		return fmt.Errorf("%w: push: %w", errUsage, err)
	}
	jid, err := queue.NewClient(c.store).Push(ctx, words[0], args, o)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(map[string]string{"jid": jid})
	}
	fmt.Fprintln(c.out, jid)
	return nil
}

func (c *ctl) pushOptions(o *queue.Options) error {
	due, err := c.due()
	if err != nil {
		return err
	}
	o.At = due
	switch n, err := strconv.Atoi(c.retry); {
	case c.retry == "" || c.retry == "true":
	case c.retry == "false":
		o.Retry = queue.NeverRetry
	case err != nil || n < 0:
		return fmt.Errorf("--retry %q: want a number from 0, true or false", c.retry)
	default:
		o.Retry = queue.RetryMax(n)
	}
	return nil
}

// due is what --in or --at say, or the zero time.
func (c *ctl) due() (time.Time, error) {
	switch {
	case c.delay != "" && c.at != "":
		return time.Time{}, errors.New("--in and --at exclude each other")
	case c.delay != "":
		d, err := time.ParseDuration(c.delay)
		if err != nil {
			return time.Time{}, fmt.Errorf("--in %q: want a duration such as 90s or 2h", c.delay)
		}
		return time.Now().Add(d), nil
	case c.at != "":
		if t, err := time.Parse(time.RFC3339, c.at); err == nil {
			return t, nil
		}
		seconds, err := strconv.ParseFloat(c.at, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("--at %q: want a time such as 2026-11-22T11:08:00Z, "+
				"or seconds since 1970", c.at)
		}
		return queue.At(seconds, time.Now()), nil
	}
	return time.Time{}, nil
}

func (c *ctl) stats(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%w: stats takes no arguments", errUsage)
	}
	st, err := inspect.New(c.store).Stats(ctx)
	if err != nil {
		return err
	}
	var history []inspect.Day
	if c.days > 0 {
		if history, err = inspect.New(c.store).History(ctx, c.days); err != nil {
			return err
		}
	}
	if c.json {
		return c.print(struct {
			inspect.Stats
			History []inspect.Day `json:"history,omitempty"`
		}{st, history})
	}
	t := c.table()
	t.row("PROCESSED", "FAILED", "BUSY", "ENQUEUED", "RETRIES", "SCHEDULED", "DEAD", "PROCESSES",
		"DEFAULT LATENCY")
	t.row(st.Processed, st.Failed, st.Busy, st.Enqueued, st.Retries, st.Scheduled, st.Dead,
		st.Processes, age(st.DefaultLatency))
	t.Flush()
	if len(history) > 0 {
		t.row("\nDAY", "PROCESSED", "FAILED")
		for _, d := range history {
			t.row(d.Date, d.Processed, d.Failed)
		}
		t.Flush()
	}
	return nil
}

func (c *ctl) queues(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%w: queues takes no arguments: `workerctl queue %s` shows one",
			errUsage, words[0])
	}
	list, err := inspect.New(c.store).Queues(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(append([]inspect.QueueInfo{}, list...))
	}
	t := c.table()
	t.row("QUEUE", "SIZE", "OLDEST", "STATE")
	for _, q := range list {
		state := ""
		if q.Paused {
			state = "paused"
		}
		t.row(q.Name, q.Size, age(q.Latency), state)
	}
	return t.Flush()
}

func (c *ctl) oneQueue(ctx context.Context, words []string) error {
	if len(words) == 0 || (len(words) > 1 && words[1] != "delete") || len(words) == 2 {
		return fmt.Errorf("%w: queue NAME, or queue NAME delete JID…", errUsage)
	}
	name := words[0]
	if !envelope.ValidName(name) {
		return fmt.Errorf("%w: queue %q: want 1 to 128 of A-Z a-z 0-9 _ . : -", errUsage, name)
	}
	switch {
	case len(words) > 1:
		return c.deleteFromQueue(ctx, name, words[2:])
	case c.pause:
		return c.done(c.store.Pause(ctx, name), "paused "+name)
	case c.unpause:
		return c.done(c.store.Unpause(ctx, name), "unpaused "+name)
	case c.clear:
		info, err := inspect.New(c.store).Queue(ctx, name)
		if err != nil {
			return err
		}
		if err := c.confirm(fmt.Sprintf("Delete all %d jobs of the queue %s", info.Size,
			name)); err != nil {
			return err
		}
		return c.done(c.store.ClearQueue(ctx, name), "cleared "+name)
	}
	page, err := inspect.New(c.store).QueuePage(ctx, name, c.offset(), pageSize)
	if err != nil {
		return err
	}
	var list []row
	for _, raw := range page {
		j, _ := envelope.ParseJob(raw)
		list = append(list, newRow(raw, j, time.Time{}))
	}
	return c.jobs(list, "WAITING")
}

func (c *ctl) deleteFromQueue(ctx context.Context, name string, jids []string) error {
	for _, jid := range jids {
		j, err := inspect.New(c.store).FindInQueue(ctx, name, jid)
		if err == nil {
			err = c.store.DeleteFromQueue(ctx, name, j.Raw())
		}
		if err := c.done(err, "delete "+jid); err != nil {
			return err
		}
	}
	return nil
}

// offset is where the page begins that was asked for.
func (c *ctl) offset() int64 {
	return min(int64(max(c.page, 1)-1), math.MaxInt64/pageSize) * pageSize
}

func (c *ctl) done(err error, what string) error {
	if err == nil {
		fmt.Fprintln(c.out, what)
	}
	return err
}

func (c *ctl) processes(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%w: processes takes no arguments", errUsage)
	}
	if c.clean {
		n, err := c.store.CleanProcesses(ctx)
		return c.done(err, fmt.Sprintf("%d dead processes are off the list (looked at once a "+
			"minute in the whole fleet)", n))
	}
	list, err := inspect.New(c.store).Processes(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.print(append([]inspect.Process{}, list...))
	}
	t := c.table()
	t.row("IDENTITY", "TAG", "BUSY", "THREADS", "QUEUES", "STATE", "RSS", "UP", "VERSION")
	for _, p := range list {
		state := ""
		if p.Quiet {
			state = "quiet"
		}
		t.row(p.Identity, p.Tag, p.Busy, p.Concurrency, strings.Join(p.Queues, ","), state,
			fmt.Sprintf("%d MB", p.RSS/1024), age(time.Since(p.StartedAt).Seconds()), p.Version)
	}
	return t.Flush()
}

func (c *ctl) busy(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%w: busy takes no arguments", errUsage)
	}
	list, err := inspect.New(c.store).WorkInProgress(ctx)
	if err != nil {
		return err
	}
	if c.json {
		type busy struct {
			inspect.Work
			Job json.RawMessage `json:"job"`
		}
		out := []busy{}
		for _, w := range list {
			out = append(out, busy{w, rawJSON(w.Payload)})
		}
		return c.print(out)
	}
	t := c.table()
	t.row("PROCESS", "TID", "QUEUE", "CLASS", "JID", "RUNNING")
	for _, w := range list {
		r := newRow(w.Payload, w.Job, time.Time{})
		t.row(w.Process, w.TID, w.Queue, r.Class, r.JID, age(time.Since(w.RunAt).Seconds()))
	}
	return t.Flush()
}

func (c *ctl) signal(ctx context.Context, signal string, words []string) error {
	if c.all == (len(words) > 0) {
		return fmt.Errorf("%w: want identities (`workerctl processes` lists them), or --all",
			errUsage)
	}
	if c.all {
		list, err := inspect.New(c.store).Processes(ctx)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errors.New("no process is alive")
		}
		if signal == "TERM" {
			if err := c.confirm(fmt.Sprintf("Stop all %d processes", len(list))); err != nil {
				return err
			}
		}
		for _, p := range list {
			words = append(words, p.Identity)
		}
	}
	for _, id := range words {
		err := inspect.New(c.store).Signal(ctx, id, signal)
		if err = c.done(err, signal+" → "+id); err != nil {
			return err
		}
	}
	return nil
}
