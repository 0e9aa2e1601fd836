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

// Options say how a job is to be treated. The zero value is Sidekiq's: queue
// "default", retried 25 times, then kept in the dead set.
type Options struct {
	Queue      string        // "default" if empty
	At         time.Time     // when it is due; at once if zero or past
	Retry      RetryOption   // the worker's maximum if zero
	RetryFor   time.Duration // since the first failure; replaces the count of retries
	RetryQueue string        // the queue from the first failure on
	NoDead     bool          // dropped, not kept in the dead set, when the retries are exhausted
	Backtrace  int           // lines of the stack to keep with a failure; -1: all
	Tags       []string      // shown in the web page and in the log
	JID        string        // 24 random hex digits if empty
	Expires    time.Duration // discarded if it has not started so long after it was due
	// Idempotent makes a repeated push with the same JID push once, for an
	// hour. Set it on the first push already.
	Idempotent bool
	Extra      map[string]any // further top-level fields, for middleware
}

// RetryOption says whether and how often a job is retried.
type RetryOption struct{ token string }

// NeverRetry drops a job when it fails.
var NeverRetry = RetryOption{"false"}

// RetryMax retries a job n times; with 0 the first failure is its death.
func RetryMax(n int) RetryOption { return RetryOption{strconv.Itoa(max(n, 0))} }

// markerLife is how long a repeated idempotent push is recognised.
const markerLife = time.Hour

// NewJob is a job on its way to Redis, as client middleware sees it.
type NewJob struct {
	Class string
	Args  []any // encoded as JSON; json.RawMessage for what is JSON already
	Options
}

// reserved are the fields that Extra cannot set.
var reserved = []string{"class", "args", "jid", "queue", "retry", "retry_for", "retry_queue",
	"dead", "backtrace", "tags", "created_at", "enqueued_at", "at", "expires_in", "expires_at",
	"retry_count", "failed_at", "retried_at", "error_class", "error_message", "error_backtrace"}

// check refuses what Ruby would refuse (docs/wire.md 3.2), and names that would
// break keys.
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
	case j.JID == "" || len(j.JID) > 128 || !utf8.ValidString(j.JID):
		return &InvalidError{"jid", fmt.Sprintf("%q: want 1 to 128 bytes of UTF-8", j.JID)}
	}
	for key := range j.Extra {
		if slices.Contains(reserved, key) {
			return &InvalidError{"extra",
				fmt.Sprintf("%q is a field of its own: set it in Options", key)}
		}
	}
	return nil
}

// appendPayload appends the job's JSON to b, which is empty. The order of the
// fields is Ruby's. stamp is now, as it is written into payloads.
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

// appendTreatment writes the fields that say how the job is to be treated, if it is to be treated
// otherwise than by default.
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

// NewJID is a fresh job id: 24 lower-case hex digits.
func NewJID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	var text [24]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}

// At is the time f seconds after the epoch; for a value under 1e9, as in
// Sidekiq's perform_in, f seconds from now.
func At(f float64, now time.Time) time.Time {
	if f < 1e9 {
		return now.Add(time.Duration(math.Round(f*1e6)) * time.Microsecond)
	}
	return envelope.FromUnix(f)
}

// String is the JSON token of the option, or "" if it was not set.
func (r RetryOption) String() string { return r.token }
