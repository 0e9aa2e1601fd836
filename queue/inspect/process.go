package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// Process describes a process, as it did at its last beat.
type Process struct {
	Identity    string    `json:"identity"`
	Hostname    string    `json:"hostname"`
	PID         int       `json:"pid"`
	Tag         string    `json:"tag"`
	Version     string    `json:"version"`
	StartedAt   time.Time `json:"started_at"`
	Queues      []string  `json:"queues"`
	Labels      []string  `json:"labels"`
	Concurrency int       `json:"concurrency"` // threads
	Busy        int       `json:"busy"`        // running jobs
	Beat        time.Time `json:"beat"`
	Quiet       bool      `json:"quiet"`   // it takes no more jobs
	RSS         int       `json:"rss_kib"` // memory in KiB
	RTT         int       `json:"rtt_us"`  // of a call to Redis, in microseconds
	Embedded    bool      `json:"embedded"`
	// Of a worker of Kyu. A process of Ruby does not say how it is.
	Stuck  int       `json:"stuck"`           // handlers that ignore that their time is over
	Turned time.Time `json:"turned,omitzero"` // of the loop that is furthest behind

	capsules map[string]capsule // by name
}

// capsule is a part of a process with threads of its own. Sidekiq has them from version 7 on.
type capsule struct {
	Concurrency int
	Mode        string         // strict, weighted or random
	Weights     map[string]int // of its queues
	Floors      map[string]queue.FloorRecord
}

// threadsFor returns how many threads may run jobs of a queue. It is 0 if the process does not
// serve the queue.
func (p *Process) threadsFor(queue string) (threads int) {
	if len(p.capsules) < 2 {
		if slices.Contains(p.Queues, queue) {
			threads = p.Concurrency
		}
		return threads
	}
	for _, c := range p.capsules {
		if _, serves := c.Weights[queue]; serves {
			threads += c.Concurrency
		}
	}
	return threads
}

// processFields are the fields of a process's record that readProcess decodes, in this order.
var processFields = []string{"info", "busy", "beat", "quiet", "rss", "rtt_us", "concurrency",
	"stuck", "turned"}

// Processes returns the live processes, Ruby's too, by identity.
func (in *Inspector) Processes(ctx context.Context) ([]Process, error) {
	ids, err := in.Identities(ctx)
	if err != nil {
		return nil, err
	}
	return in.ProcessesOf(ctx, ids...)
}

// Identities returns the identities of the processes, Ruby's too, sorted. Some may have died
// lately.
func (in *Inspector) Identities(ctx context.Context) ([]string, error) {
	ids, err := in.rdb.SMembers(ctx, in.ks.Processes()).Result()
	if err != nil {
		return nil, fmt.Errorf("processes: %w", err)
	}
	slices.Sort(ids)
	return ids, nil
}

// ProcessesOf returns those of the identities that are live processes, in their order. It costs a
// command for each.
func (in *Inspector) ProcessesOf(ctx context.Context, ids ...string) ([]Process, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := in.rdb.Pipeline()
	rows := make([]*redis.SliceCmd, len(ids))
	for i, id := range ids {
		rows[i] = pipe.HMGet(ctx, in.ks.Key(id), processFields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("processes: %w", err)
	}
	var list []Process
	for i, row := range rows {
		if p, ok := readProcess(ids[i], row.Val()); ok {
			list = append(list, p)
		}
	}
	return list, nil
}

// readProcess decodes the record of a process of any version of Sidekiq. A process without info is
// dead.
func readProcess(id string, row []any) (p Process, ok bool) {
	at := func(i int) string { s, _ := row[i].(string); return s }
	number := func(i int) int { n, _ := strconv.Atoi(at(i)); return n }
	var info struct {
		Hostname, Tag, Version string
		StartedAt              float64 `json:"started_at"`
		PID, Concurrency       int
		Queues, Labels         []string
		Embedded               bool
		Capsules               json.RawMessage
	}
	if at(0) == "" || json.Unmarshal([]byte(at(0)), &info) != nil {
		return p, false
	}
	p = Process{Identity: id, Hostname: info.Hostname, PID: info.PID, Tag: info.Tag,
		Version:   info.Version,
		StartedAt: envelope.FromUnix(info.StartedAt), Queues: info.Queues, Labels: info.Labels,
		Concurrency: info.Concurrency,
		Busy:        number(1), Quiet: at(3) == "true", RSS: number(4), RTT: number(5),
		Embedded: info.Embedded}
	if json.Unmarshal(info.Capsules, &p.capsules) != nil { // a form that we do not know
		p.capsules = nil
	}
	p.Beat, _ = envelope.ParseTime(at(2))
	p.Stuck = number(7)
	p.Turned, _ = envelope.ParseTime(at(8))
	if n := number(6); n > 0 { // Sidekiq 8.1.2 and later write it beside info
		p.Concurrency = n
	}
	return p, true
}

// ErrEmbedded is the error for a signal to a Sidekiq that runs inside another Ruby program. It
// reads its signals from Redis and ignores them, because they would end the program.
var ErrEmbedded = errors.New("it runs inside another Ruby program, which ignores signals: " +
	"stop or quiet that program itself")

// Signal sends a process a signal: TSTP to take no more jobs, TERM to stop, TTIN to write its
// stacks to its log. The process reads it with its next beat. The error wraps queue.ErrNotFound if
// no such process is alive, and ErrEmbedded if it would ignore the signal.
func (in *Inspector) Signal(ctx context.Context, identity, signal string) error {
	row, err := in.rdb.HMGet(ctx, in.ks.Key(identity), processFields...).Result()
	if err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	p, alive := readProcess(identity, row)
	if !alive {
		return fmt.Errorf("signal: process %q: %w", identity, queue.ErrNotFound)
	}
	if p.Embedded {
		return fmt.Errorf("signal: process %q: %w", identity, ErrEmbedded)
	}
	_, err = in.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.LPush(ctx, in.ks.Signals(identity), signal)
		p.Expire(ctx, in.ks.Signals(identity), time.Minute)
		return nil
	})
	if err != nil {
		return fmt.Errorf("signal: %w", err)
	}
	return nil
}
