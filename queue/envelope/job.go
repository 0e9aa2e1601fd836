// Package envelope reads and writes payloads, which are jobs as JSON in Redis. It parses a payload,
// changes single fields, encodes new payloads, and reads and writes times, as Sidekiq does
// (docs/wire.md 2 and 3). It imports no other package of Kyu, does no input or output, and has no
// state.
package envelope

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrInvalid is wrapped by the error for bytes that are no job.
var ErrInvalid = errors.New("not a valid job")

// Job is a job as it is in Redis. Its methods read fields of the payload. A Job never changes. A
// Patch returns a new payload in which all other bytes are unchanged, so unknown fields, large
// integers, 1.0 and the order of the fields survive.
type Job struct {
	raw     string
	members []member
	few     [8]member // room for the fields of a job that never failed: saves an allocation
	names   nameSet
	open    int32 // index just after the opening brace
	escaped bool  // a field's name is written with escapes

	Class string          // the name of the Ruby class, or of the handler
	JID   string          // the job id; empty if the payload has none
	Queue string          // the name of the queue, without "queue:"; empty if the payload has none
	Args  json.RawMessage // a JSON array
}

type member struct{ name, value span }

// nameSet is a 64-bit Bloom filter of the names of a payload's fields: a clear bit proves that a
// field is absent. The runtime asks every job for fields that few jobs have. The filter answers
// without a search.
type nameSet uint64

// nameBit returns the bit of a name. The factor 18 was found by trying: with it, no field of a
// plain job shares a bit with another field that the runtime asks for.
func nameBit(name string) nameSet {
	if name == "" {
		return 1
	}
	return 1 << ((len(name) + int(name[0]) + 18*int(name[len(name)-1])) & 63)
}

// ParseJob parses a payload. Without args the job has the arguments [] (docs/wire.md 3.4). The
// error wraps ErrInvalid and gives the reason: broken JSON, no object, no class, or args that are
// no array.
func ParseJob(raw string) (*Job, error) {
	j, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	var ok bool
	if j.Class, ok = Unquote(j.Field("class")); !ok || j.Class == "" {
		return nil, fmt.Errorf("%w: class is missing or not a string", ErrInvalid)
	}
	j.JID = j.String("jid")
	j.Queue = j.String("queue")
	switch args := j.Field("args"); {
	case args == "" || args == "null":
		j.Args = json.RawMessage("[]")
	case args[0] == '[':
		j.Args = json.RawMessage(args)
	default:
		return nil, fmt.Errorf("%w: args is not an array", ErrInvalid)
	}
	return j, nil
}

// parseObject reads the fields of a JSON object, which may be no job.
func parseObject(raw string) (*Job, error) {
	if len(raw) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: longer than 2 GiB", ErrInvalid)
	}
	j := &Job{raw: raw}
	j.members = j.few[:0]
	c := scanner{s: raw}
	c.space()
	j.open = int32(c.i) + 1
	if c.i >= len(raw) || raw[c.i] != '{' {
		return nil, fmt.Errorf("%w: no JSON object", ErrInvalid)
	}
	ok := c.object(1, func(n, v span) {
		j.members = append(j.members, member{n, v})
		name := raw[n.start+1 : n.end-1]
		j.names |= nameBit(name)
		j.escaped = j.escaped || strings.IndexByte(name, '\\') >= 0
	})
	if !ok || !c.end() {
		return nil, fmt.Errorf("%w: broken JSON near byte %d", ErrInvalid, c.i)
	}
	return j, nil
}

// Raw returns the payload, byte for byte.
func (j *Job) Raw() string { return j.raw }

// Field returns the JSON of a top-level field, or "" if there is none. If several fields have the
// same name, the last one counts, as in Ruby.
func (j *Job) Field(key string) string {
	if m := j.find(key); m != nil {
		return m.value.token(j.raw)
	}
	return ""
}

func (j *Job) find(key string) *member {
	if j.names&nameBit(key) == 0 && !j.escaped {
		return nil
	}
	for i := len(j.members) - 1; i >= 0; i-- {
		m := &j.members[i]
		if name := j.raw[m.name.start+1 : m.name.end-1]; name == key {
			return m
		}
		if j.escaped {
			if text, _ := Unquote(m.name.token(j.raw)); text == key {
				return m
			}
		}
	}
	return nil
}

// Fields returns the names of the top-level fields, in order, each once.
func (j *Job) Fields() []string {
	var names []string
	for _, m := range j.members {
		if name, _ := Unquote(m.name.token(j.raw)); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// String returns the text of a top-level field, or "" if it is absent or no string.
func (j *Job) String(key string) string {
	s, _ := Unquote(j.Field(key))
	return s
}

// Int returns the value of a top-level field. ok is false if it is absent, no integer, or larger
// than 64 bits.
func (j *Job) Int(key string) (n int64, ok bool) {
	token := j.Field(key)
	if token == "" {
		return 0, false // the common case: skip ParseInt, which allocates its error
	}
	n, err := strconv.ParseInt(token, 10, 64)
	return n, err == nil
}

// Time returns the time in a top-level field, in any of Sidekiq's forms (see ParseTime), or the
// zero time if the field is absent or holds no time.
func (j *Job) Time(key string) time.Time {
	t, _ := ParseTime(j.Field(key))
	return t
}

// RetryCount returns the field retry_count: 0 after the first failure, 1 after the second. ok is
// false if the job never failed. After a retry by hand it can be -1 (docs/wire.md 3.1). A payload
// may hold any number. Numbers are limited to a million above and below zero, because the runtime
// counts them up and down.
func (j *Job) RetryCount() (n int, ok bool) {
	n64, ok := j.Int("retry_count")
	return int(min(max(n64, -maxRetryCount), maxRetryCount)), ok
}

const maxRetryCount = 1_000_000

// Attempt returns the number of this run: 1 for the first, 2 after one failure. A run that ended in
// a snooze, a stop or a crash is not counted.
func (j *Job) Attempt() int {
	n, failed := j.RetryCount()
	if !failed {
		return 1
	}
	return max(n+2, 1)
}

// Waited returns how long the job has been in its queue at the time now: since enqueued_at, else
// since created_at. It is 0 if the payload has neither.
func (j *Job) Waited(now time.Time) time.Duration {
	since := j.Enqueued()
	if since.IsZero() {
		return 0
	}
	return max(now.Sub(since), 0)
}

// Enqueued is since when the job lies in its queue: enqueued_at, else created_at, else the zero
// time.
func (j *Job) Enqueued() time.Time {
	if t := j.Time("enqueued_at"); !t.IsZero() {
		return t
	}
	return j.Time("created_at")
}

// Tags returns the job's tags, or nil if there are none.
func (j *Job) Tags() []string {
	tok := j.Field("tags")
	if tok == "" || tok[0] != '[' {
		return nil
	}
	var tags []string
	if json.Unmarshal([]byte(tok), &tags) != nil {
		return nil
	}
	return tags
}

// SplitArgs returns the elements of a JSON array. They share the memory of array.
func SplitArgs(array json.RawMessage) ([]json.RawMessage, error) {
	list := make([]json.RawMessage, 0, 4)
	c := scanner{s: string(array)}
	ok := c.array(1, func(e span) { list = append(list, array[e.start:e.end:e.end]) })
	if !ok || !c.end() {
		return nil, fmt.Errorf("%w: args is not an array", ErrInvalid)
	}
	return list, nil
}

// millis reports whether the payload's own times are integer milliseconds, as Sidekiq 8 writes
// them.
func (j *Job) millis() bool {
	for _, key := range []string{"created_at", "enqueued_at"} {
		if n, ok := j.Int(key); ok && n >= millisFrom {
			return true
		}
	}
	return false
}
