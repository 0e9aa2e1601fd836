package queue

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kyujobs/kyu/queue/envelope"
)

// Options say when a job runs, in which queue, and how often it is retried. With the zero value,
// a job runs at once, in the queue "default", is retried 25 times, and is then kept in the dead
// set, as in Sidekiq.
type Options struct {
	Queue string      // "default" if empty
	At    time.Time   // when it is due; at once if zero or past
	Retry RetryOption // the worker's maximum if zero
	// RetryFor is how long after its first failure the job is retried. If it is not 0, it replaces
	// the number of retries.
	RetryFor   time.Duration
	RetryQueue string   // the queue from the first failure on; Queue if empty
	NoDead     bool     // drop the job when no retries are left, instead of keeping it
	Backtrace  int      // how many lines of the stack to store after a failure; -1: all
	Tags       []string // shown on the web page and in the log
	JID        string   // 24 random hex digits if empty
	// Expires is how long after it is due the job may still start. A job that starts later is
	// discarded. 0 means no limit.
	Expires time.Duration
	// Idempotent makes pushes with the same JID within an hour store one job. It must be set from
	// the first push on.
	Idempotent bool
	// ShardKey keeps jobs together: with several shards, all jobs with the same key are in one (see
	// Placement). It is written into the payload, and has at most 255 bytes.
	ShardKey string
	Extra    map[string]any // further top-level fields of the payload, for middleware
	Claims   []Claim        // conditions of the push, for middleware
}

// RetryOption says how often a job is retried. The zero value leaves it to the worker.
type RetryOption struct{ token string }

// NeverRetry is for a job that is dropped when it fails.
var NeverRetry = RetryOption{"false"}

// RetryMax is for a job that is retried n times. With 0, the first failure moves it to the dead
// set.
func RetryMax(n int) RetryOption { return RetryOption{strconv.Itoa(max(n, 0))} }

// markerLife is how long the marker of an idempotent push is kept.
const markerLife = time.Hour

// NewJob is a job that is being pushed, as middleware gets it.
type NewJob struct {
	Class string
	Args  []any // encoded as JSON; a json.RawMessage is JSON
	Options
}

// reserved are the fields that Extra cannot set.
var reserved = []string{"class", "args", "jid", "queue", "retry", "retry_for", "retry_queue",
	"dead", "backtrace", "tags", "created_at", "enqueued_at", "at", "expires_in", "expires_at",
	"retry_count", "failed_at", "retried_at", "error_class", "error_message", "error_backtrace",
	shardKeyField}

// check returns an *InvalidError for a job that Ruby would refuse (docs/wire.md 3.2), and for names
// that would break keys.
func (j *NewJob) check() error {
	switch {
	case !envelope.ValidName(j.Class):
		return &InvalidError{"class",
			fmt.Sprintf("%q: want 1 to 128 of A-Z a-z 0-9 _ . : -", j.Class)}
	case !envelope.ValidName(j.Queue):
		return &InvalidError{"queue",
			fmt.Sprintf("%q: want 1 to 128 of A-Z a-z 0-9 _ . : -", j.Queue)}
	case j.RetryQueue != "" && !envelope.ValidName(j.RetryQueue):
		return &InvalidError{"retry_queue",
			fmt.Sprintf("%q: want 1 to 128 of A-Z a-z 0-9 _ . : -", j.RetryQueue)}
	case j.RetryFor < 0 || j.RetryFor > 1e9*time.Second:
		return &InvalidError{"retry_for",
			fmt.Sprintf("%v: want 0 to 1,000,000,000 seconds", j.RetryFor)}
	case j.Expires < 0:
		return &InvalidError{"expires", fmt.Sprintf("%v is negative", j.Expires)}
	case len(j.ShardKey) > maxShardKey || !utf8.ValidString(j.ShardKey):
		return &InvalidError{shardKeyField,
			fmt.Sprintf("%.300q: want at most %d bytes of UTF-8", j.ShardKey, maxShardKey)}
	case j.JID == "" || len(j.JID) > 128 || !utf8.ValidString(j.JID):
		return &InvalidError{"jid", fmt.Sprintf("%q: want 1 to 128 bytes of UTF-8", j.JID)}
	}
	for key := range j.Extra {
		if slices.Contains(reserved, key) {
			return &InvalidError{"extra",
				fmt.Sprintf("%q has a field of its own: set it in Options", key)}
		}
	}
	return nil
}

// appendPayload appends the job's JSON to b, which is empty. The order of the fields is Ruby's.
// stamp is now, in the form of payloads.
func (j *NewJob) appendPayload(b []byte, now time.Time, stamp []byte) ([]byte, error) {
	w := envelope.NewWriter(b)
	retry := j.Retry.token
	if retry == "" {
		retry = "true"
	}
	w.Token("retry", retry)
	w.Text("queue", j.Queue)
	w.Text("class", j.Class)
	if err := w.Args(j.Args); err != nil {
		return nil, &InvalidError{"args", err.Error()}
	}
	w.Text("jid", j.JID)
	w.Field("created_at", stamp)
	j.appendTreatment(w, now)
	if len(j.Tags) > 0 {
		if err := w.Value("tags", j.Tags); err != nil {
			return nil, &InvalidError{"tags", err.Error()}
		}
	}
	if j.ShardKey != "" {
		w.Text(shardKeyField, j.ShardKey)
	}
	for _, key := range sortedKeys(j.Extra) {
		if err := j.appendExtra(w, key); err != nil {
			return nil, err
		}
	}
	if j.At.IsZero() {
		w.Field("enqueued_at", stamp)
	}
	return w.End(), nil
}

// appendExtra writes a field of Extra.
func (j *NewJob) appendExtra(w *envelope.Writer, key string) error {
	token, err := envelope.Encode(j.Extra[key], 1)
	if err != nil {
		return &InvalidError{key, err.Error()}
	}
	if strings.HasPrefix(key, "cattr") && token[0] != '{' && token[0] != '[' {
		return &InvalidError{key, "Sidekiq's pages fail on attributes that are no object: want " +
			"an object"}
	}
	w.Field(key, token)
	return nil
}

// appendTreatment writes the fields of options that do not have their default value.
func (j *NewJob) appendTreatment(w *envelope.Writer, now time.Time) {
	if j.RetryFor > 0 {
		w.Int("retry_for", int64(math.Ceil(j.RetryFor.Seconds())))
	}
	if j.RetryQueue != "" {
		w.Text("retry_queue", j.RetryQueue)
	}
	if j.NoDead {
		w.Token("dead", "false")
	}
	switch {
	case j.Backtrace < 0:
		w.Token("backtrace", "true")
	case j.Backtrace > 0:
		w.Int("backtrace", int64(j.Backtrace))
	}
	if j.Expires > 0 {
		due := now
		if j.At.After(now) {
			due = j.At
		}
		w.Field("expires_in", envelope.AppendSeconds(nil, j.Expires))
		w.Field("expires_at", envelope.Float.AppendTime(nil, due.Add(j.Expires), nil))
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// NewJID returns a new job id: 24 random lower-case hex digits.
func NewJID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	var text [24]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}

// At returns the time that f means in Sidekiq's perform_in and perform_at: f seconds after now if f
// is below 1e9, else f seconds after the epoch.
func At(f float64, now time.Time) time.Time {
	if f < 1e9 {
		return now.Add(time.Duration(math.Round(f*1e6)) * time.Microsecond)
	}
	return envelope.FromUnix(f)
}

// String returns the JSON of the option, or "" for the zero value.
func (r RetryOption) String() string { return r.token }
