package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
)

// ProcessRecord is what a process publishes of itself: the union of what the
// web pages of Sidekiq 6.4 to 8.1 read (docs/wire.md 9.3). One wrong field
// takes the Busy page down for the whole fleet, so it is built from Go types
// only.
type ProcessRecord struct {
	Identity    string
	Hostname    string
	PID         int
	Tag         string
	Labels      []string
	Version     string
	StartedAt   time.Time
	Concurrency int
	Capsules    []CapsuleRecord
	Quiet       bool
	RTT         time.Duration
	RSS         int // KiB
	Work        []WorkRecord
}

// CapsuleRecord describes a capsule.
type CapsuleRecord struct {
	Name        string         `json:"-"`
	Concurrency int            `json:"concurrency"`
	Mode        string         `json:"mode"` // strict, weighted, random
	Weights     map[string]int `json:"weights"`
	Queues      []string       `json:"-"` // in order
}

// WorkRecord is a job that is running.
type WorkRecord struct {
	TID     string
	Queue   string
	Payload string
	RunAt   time.Time
}

// Counts are what a process has done since its last flush.
type Counts struct {
	Flush     uint64 // number of the flush: the same flush repeated counts once
	Processed int64
	Failed    int64
}

// statLife is how long the counters of a day are kept, as Sidekiq keeps them.
const statLife = 5 * 365 * 24 * time.Hour

// Publish writes the process's record, its work and its counts. known is false
// on the first beat, and when the record had expired. A key of the wrong type costs what
// would go into it, and nothing else.
func (o *Owner) Publish(ctx context.Context, r ProcessRecord, c Counts,
	now time.Time) (known bool, err error) {
	info, err := r.info()
	if err != nil {
		return false, fmt.Errorf("publish: %w", err)
	}
	day := now.UTC().Format(time.DateOnly)
	ks := o.store.ks
	record, work, workers := o.recordKeys()
	keys := []string{ks.Processes(), record, work, workers, ks.Owner(o.Identity),
		ks.Processed(), ks.Failed(), ks.Processed() + ":" + day,
		ks.Failed() + ":" + day}
	fields := []any{"info", info, "busy", len(r.Work), "beat", envelope.Score(now),
		"rtt_us", r.RTT.Microseconds(), "quiet", strconv.FormatBool(r.Quiet), "rss", r.RSS,
		"concurrency", r.Concurrency}
	args := append([]any{o.Identity, c.Flush, c.Processed, c.Failed, int(statLife.Seconds()),
		len(fields)}, fields...)
	args = append(args, published(r.Work)...)
	n, err := o.store.db.RunOwn(ctx, publishScript, keys, args...).Int()
	if err != nil {
		return false, fmt.Errorf("publish: %w", err)
	}
	return n == 1, nil
}

// How many bytes of payloads a process publishes: of one job, and of all together. A
// payload beyond that is published in brief.
const (
	maxShown    = 64 << 10
	maxShownSum = 1 << 20
)

// published is the work as the web page reads it: thread, JSON, ...
func published(work []WorkRecord) []any {
	args, sum := make([]any, 0, 2*len(work)), 0
	for _, w := range work {
		payload := w.Payload
		if len(payload) > maxShown || sum+len(payload) > maxShownSum {
			payload = brief(w)
		}
		text, err := envelope.Encode(workJSON{w.Queue, payload, w.RunAt.Unix()}, 0)
		if err != nil { // it is no UTF-8, which would break the page
			payload = brief(w)
			name := strings.ToValidUTF8(w.Queue, "\ufffd")
			text, err = envelope.Encode(workJSON{name, payload, w.RunAt.Unix()}, 0)
		}
		if err != nil {
			continue
		}
		sum += len(payload)
		args = append(args, w.TID, text)
	}
	return args
}

// brief is a short job that stands for a payload on the page of every Sidekiq version. A
// class that a wrapper holds is shown as itself: pages look for a wrapped class's name in
// its arguments, and these are not there.
func brief(w WorkRecord) string {
	j := &Job{Class: "?"}
	head, tail := w.Payload[:min(len(w.Payload), envelope.HeadBytes)], ""
	if rest := w.Payload[len(head):]; rest != "" {
		tail = rest[max(len(rest)-envelope.TailBytes, 0):]
	}
	if part, ok := envelope.Excerpt(head, tail); ok {
		j = part
	}
	b := envelope.AppendString([]byte(`{"class":`), j.DisplayClass())
	b = envelope.AppendString(append(b, `,"jid":`...), j.JID)
	b = envelope.AppendString(append(b, `,"queue":`...), cmp.Or(j.Queue, w.Queue))
	for _, key := range []string{"created_at", "enqueued_at"} {
		if tok := j.Field(key); !j.Time(key).IsZero() && tok[0] != '"' {
			b = append(append(append(append(b, `,"`...), key...), `":`...), tok...)
		}
	}
	b = envelope.AppendString(append(b, `,"args":[`...), fmt.Sprintf("(%d bytes, not shown)",
		len(w.Payload)))
	return string(append(b, "]}"...))
}

// recordKeys are where the process's record and its work lie: readers up to
// 6.4.1 look under :workers, later ones under :work.
func (o *Owner) recordKeys() (record, work, workers string) {
	record = o.store.ks.Key(o.Identity)
	return record, record + ":work", record + ":workers"
}

// workJSON has exactly the fields that every reader wants (docs/wire.md 9.4).
type workJSON struct {
	Queue   string `json:"queue"`
	Payload string `json:"payload"`
	RunAt   int64  `json:"run_at"`
}

type infoJSON struct {
	Hostname    string                   `json:"hostname"`
	StartedAt   float64                  `json:"started_at"`
	PID         int                      `json:"pid"`
	Tag         string                   `json:"tag"`
	Concurrency int                      `json:"concurrency"`
	Queues      []string                 `json:"queues"`
	Weights     []map[string]int         `json:"weights"`
	Capsules    map[string]CapsuleRecord `json:"capsules"`
	Labels      []string                 `json:"labels"`
	Identity    string                   `json:"identity"`
	Version     string                   `json:"version"`
	Embedded    bool                     `json:"embedded"`
}

func (r *ProcessRecord) info() (string, error) {
	i := infoJSON{Hostname: r.Hostname, StartedAt: envelope.Unix(r.StartedAt), PID: r.PID,
		Tag: r.Tag, Concurrency: r.Concurrency, Queues: []string{}, Weights: []map[string]int{},
		Capsules: map[string]CapsuleRecord{}, Labels: append([]string{}, r.Labels...),
		Identity: r.Identity, Version: r.Version}
	for _, c := range r.Capsules {
		for _, q := range c.Queues {
			if !slices.Contains(i.Queues, q) {
				i.Queues = append(i.Queues, q)
			}
		}
		i.Weights = append(i.Weights, c.Weights)
		i.Capsules[c.Name] = c
	}
	b, err := envelope.Encode(i, 0)
	return string(b), err
}

// Retire takes the process off the web page.
func (o *Owner) Retire(ctx context.Context) error {
	pipe := o.store.db.Own.Pipeline()
	listed := pipe.SRem(ctx, o.store.ks.Processes(), o.Identity)
	record, work, workers := o.recordKeys()
	gone := pipe.Unlink(ctx, record, work, workers)
	pipe.Exec(ctx) // the errors are those of its commands
	for _, err := range []error{listed.Err(), gone.Err()} {
		if err != nil && !redisdb.IsWrongType(err) { // of the wrong type, it lists no process
			return fmt.Errorf("retire: %w", err)
		}
	}
	return nil
}

// ProcessCount is how many processes serve this Redis, Ruby's too.
func (s *Store) ProcessCount(ctx context.Context) (int, error) {
	n, err := s.db.Own.SCard(ctx, s.ks.Processes()).Result()
	return int(n), err
}

// CleanProcesses takes members without a record out of the set of processes,
// at most once a minute in the whole fleet.
func (s *Store) CleanProcesses(ctx context.Context) (removed int, err error) {
	won, err := s.db.Own.SetNX(ctx, s.ks.Key("process_cleanup"), "1", time.Minute).Result()
	if err != nil || !won {
		return 0, err
	}
	ids, err := s.db.Own.SMembers(ctx, s.ks.Processes()).Result()
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		alive, err := s.db.Own.HExists(ctx, s.ks.Key(id), "info").Result()
		if err != nil {
			return removed, err
		}
		if !alive {
			s.db.Own.SRem(ctx, s.ks.Processes(), id)
			removed++
		}
	}
	return removed, nil
}
