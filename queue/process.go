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

// ProcessRecord describes a process to Sidekiq's web page. It has all fields that the web pages of
// Sidekiq 6.4 to 8.1 read (docs/wire.md 9.3). One wrong field breaks the Busy page of the whole
// fleet, so the record is encoded from Go types only. It is for package worker.
type ProcessRecord struct {
	Identity    string
	Hostname    string
	PID         int
	Tag         string
	Labels      []string
	Version     string
	StartedAt   time.Time
	Concurrency int // threads
	Capsules    []CapsuleRecord
	Quiet       bool          // it takes no more jobs
	RTT         time.Duration // of a call to Redis
	RSS         int           // memory in KiB
	Stuck       int           // handlers that have not returned although their time is over
	Turned      time.Time     // when the loop that is furthest behind began its last turn; or zero
	Work        []WorkRecord
}

// CapsuleRecord describes a capsule of a process.
type CapsuleRecord struct {
	Name        string         `json:"-"`
	Concurrency int            `json:"concurrency"` // threads
	Mode        string         `json:"mode"`        // strict, weighted or random
	Weights     map[string]int `json:"weights"`     // by queue
	Queues      []string       `json:"-"`           // in the order in which it takes from them

	Floors map[string]FloorRecord `json:"floors,omitempty"` // by queue; no field of Sidekiq
}

// FloorRecord is what a queue gets besides its place in strict order.
type FloorRecord struct {
	Share float64 `json:"share,omitempty"` // of the jobs that the capsule takes, 0 to 1
	Max   int     `json:"max,omitempty"`   // threads; 0: no bound
	Late  float64 `json:"late,omitempty"`  // seconds of age from which the share is at least 1/4
}

// WorkRecord describes a job that is running.
type WorkRecord struct {
	TID     string // names the thread
	Queue   string
	Payload string
	RunAt   time.Time // when the run began
}

// Counts are the runs of jobs in a process since its last flush.
type Counts struct {
	Flush     uint64 // number of the flush: a flush that is repeated counts once
	Processed int64  // with those that failed
	Failed    int64
	Expired   int64 // jobs that were too late to run; not in Processed
}

// statLife is how long the counters of a day are kept, as in Sidekiq.
const statLife = 5 * 365 * 24 * time.Hour

// Publish writes the process's record and work, and adds its counts. known is false if the record
// was not there: this is the first call, or the record had expired. If a key has a wrong type, only
// the data for that key is lost, and there is no error.
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
		ks.Processed(), ks.Failed(), ks.Expired(), ks.Processed() + ":" + day,
		ks.Failed() + ":" + day, ks.Expired() + ":" + day}
	fields := []any{"info", info, "busy", len(r.Work), "beat", envelope.Score(now),
		"rtt_us", r.RTT.Microseconds(), "quiet", strconv.FormatBool(r.Quiet), "rss", r.RSS,
		"concurrency", r.Concurrency, "stuck", r.Stuck, "turned", envelope.Score(r.Turned)}
	args := append([]any{o.Identity, c.Flush, c.Processed, c.Failed, c.Expired,
		int(statLife.Seconds()), len(fields)}, fields...)
	args = append(args, workFields(r.Work)...)
	n, err := o.store.db.RunOwn(ctx, publishScript, keys, args...).Int()
	if err != nil {
		return false, fmt.Errorf("publish: %w", err)
	}
	return n == 1, nil
}

// The most bytes of payloads that a process publishes. A payload over these limits, and one that
// Ruby cannot read, is published in brief.
const (
	maxShown    = 64 << 10 // of one job
	maxShownSum = 1 << 20  // of all jobs together
)

// workFields returns the fields of the work hash: a thread, its job in JSON, ….
func workFields(work []WorkRecord) []any {
	args, sum := make([]any, 0, 2*len(work)), 0
	for _, w := range work {
		payload := w.Payload
		if len(payload) > maxShown || sum+len(payload) > maxShownSum || !rubyShows(payload) {
			payload = brief(w)
		}
		text, err := envelope.Encode(workJSON{w.Queue, payload, w.RunAt.Unix()}, 0)
		if err != nil { // invalid UTF-8 would break the page
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

// rubyShows reports whether the Busy page of every Sidekiq version shows a payload. One that Ruby
// cannot parse takes the page of 6.4.1 down, and later versions show neither its jid nor its class.
func rubyShows(payload string) bool {
	j, err := envelope.ParseJob(payload)
	return err == nil && j.RubyRefuses() == nil
}

// brief returns a short job that the page of every Sidekiq version shows instead of a payload. A
// wrapped job is shown with its own class: pages look for the name of a wrapped class in the
// arguments, and a brief job has none.
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
	// The reaper of sidekiq-unique-jobs deletes a lock whose digest it finds in no payload.
	for _, key := range []string{"lock_digest", "unique_digest"} {
		if digest := j.String(key); digest != "" {
			b = append(append(append(b, `,"`...), key...), `":`...)
			b = envelope.AppendString(b, digest)
		}
	}
	b = envelope.AppendString(append(b, `,"args":[`...), fmt.Sprintf("(%d bytes, not shown)",
		len(w.Payload)))
	return string(append(b, "]}"...))
}

// recordKeys returns the keys of the process's record and of its work. Sidekiq up to 6.4.1 reads
// the work under :workers, later versions under :work.
func (o *Owner) recordKeys() (record, work, workers string) {
	record = o.store.ks.Key(o.Identity)
	return record, record + ":work", record + ":workers"
}

// workJSON has the fields of a running job that every version of Sidekiq reads (docs/wire.md 9.4).
type workJSON struct {
	Queue   string `json:"queue"`
	Payload string `json:"payload"`
	RunAt   int64  `json:"run_at"`
}

// infoJSON has the fields of the record that are published as JSON (docs/wire.md 9.3).
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

// info returns the infoJSON of the record.
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

// Retire removes the process from the web page.
func (o *Owner) Retire(ctx context.Context) error {
	pipe := o.store.db.Own.Pipeline()
	listed := pipe.SRem(ctx, o.store.ks.Processes(), o.Identity)
	record, work, workers := o.recordKeys()
	gone := pipe.Unlink(ctx, record, work, workers)
	pipe.Exec(ctx) // the commands have the errors
	for _, err := range []error{listed.Err(), gone.Err()} {
		if err != nil && !redisdb.IsWrongType(err) { // a key of a wrong type shows no process
			return fmt.Errorf("retire: %w", err)
		}
	}
	return nil
}

// ProcessCount returns the number of processes that serve this Redis, Ruby's too.
func (s *Store) ProcessCount(ctx context.Context) (int, error) {
	n, err := s.db.Own.SCard(ctx, s.ks.Processes()).Result()
	return int(n), err
}

// CleanProcesses removes the identities of processes without a record from the set of processes,
// and returns how many. It does nothing if a process of the fleet did so less than a minute ago.
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
