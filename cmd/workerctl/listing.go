package main

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/spf13/pflag"
)

// pageSize is the number of jobs that a list shows at once, unless --limit says another.
const pageSize = 25

// sampleJID stands for a job in the examples of the help.
const sampleJID = "6f2a1c0de5b94f7a8c3d2e1f"

// listing are the flags of commands that list jobs.
type listing struct {
	limit limit
	page  int
}

func (l *listing) flags(f *pflag.FlagSet) {
	f.IntVar(&l.page, "page", 1, "the `PAGE` of the list")
	l.limit.flags(f, pageSize)
}

// offset is the place of the page's first job.
func (l *listing) offset() int64 {
	size := int64(l.limit)
	return min(int64(max(l.page, 1)-1), math.MaxInt64/size) * size
}

// jobs prints a page of a list that has total jobs. when is the title of the column of times.
func (l *listing) jobs(c *call, list []row, when string, total int64) error {
	if c.json() {
		return c.print(append([]row{}, list...))
	}
	t := c.table()
	c.rowOf(t, "SHARD", "JID", "CLASS", "QUEUE", "ARGS", when, "RETRY", "ERROR")
	for _, r := range list {
		at, count := "", ""
		if r.At != nil {
			at = moment(*r.At)
		}
		if r.Count != nil {
			count = strconv.Itoa(*r.Count)
		}
		if r.At == nil {
			if j, err := envelope.ParseJob(string(r.Job)); err == nil {
				at = age(time.Since(j.Time("enqueued_at")).Seconds())
			}
		}
		c.rowOf(t, r.Shard, r.JID, r.Class, r.Queue, string(r.Args), at, count, r.Error)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return c.printPart(l.offset(), len(list), total)
}

// row is a job in a list.
type row struct {
	JID   string          `json:"jid"`
	Class string          `json:"class"`
	Queue string          `json:"queue"`
	Args  json.RawMessage `json:"args"`
	At    *time.Time      `json:"at,omitempty"`
	Count *int            `json:"retry_count,omitempty"`
	Error string          `json:"error,omitempty"`
	Shard string          `json:"shard,omitempty"`
	Job   json.RawMessage `json:"job"` // the whole payload; a string if it is not JSON
}

// newRow makes a row of a payload. j is nil if the payload is not a job; at is zero if the
// job waits in a queue.
func newRow(raw string, j *envelope.Job, at time.Time) row {
	r := row{Class: "(not a job)", Job: rawJSON(raw), Args: json.RawMessage("null")}
	if !at.IsZero() {
		r.At = &at
	}
	if j == nil {
		return r
	}
	r.JID, r.Class, r.Queue, r.Args = j.JID, j.DisplayClass(), j.Queue, j.DisplayArgs()
	if n, ok := j.RetryCount(); ok {
		r.Count = &n
	}
	if class := j.String("error_class"); class != "" {
		r.Error = class + ": " + j.String("error_message")
	}
	return r
}

// rawJSON is the payload as it is, or as a JSON string if it is not JSON.
func rawJSON(raw string) json.RawMessage {
	if json.Valid([]byte(raw)) {
		return json.RawMessage(raw)
	}
	b, _ := json.Marshal(raw) // a string always marshals
	return b
}
