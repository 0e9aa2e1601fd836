package queue

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// isActiveJob reports whether a class is one under which Rails' ActiveJob arrives
// (docs/wire.md 3.5).
func isActiveJob(class string) bool {
	return class == "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper" ||
		class == "Sidekiq::ActiveJob::Wrapper"
}

// Unwrapped gives the class that the job is really about and its arguments:
// for an ActiveJob wrapper the wrapped class and its still encoded arguments,
// for every other job Class and Args.
func (j *Job) Unwrapped() (class string, args json.RawMessage) {
	if !isActiveJob(j.Class) {
		return j.Class, j.Args
	}
	var inner []struct {
		JobClass  string          `json:"job_class"`
		Arguments json.RawMessage `json:"arguments"`
	}
	if json.Unmarshal(j.Args, &inner) != nil || len(inner) != 1 || inner[0].Arguments == nil {
		return j.Class, j.Args
	}
	class = j.String("wrapped")
	if class == "" {
		class = inner[0].JobClass
	}
	return class, inner[0].Arguments
}

// PushActiveJob pushes a Rails job, in the wrapper whose name every version of
// Rails and Sidekiq knows. Arguments must be as ActiveJob encodes them: numbers,
// strings, booleans, nil and lists are themselves; a record is
// {"_aj_globalid": "gid://app/Model/1"} (docs/wire.md 3.5).
func (c *Client) PushActiveJob(ctx context.Context, class string, args []any,
	o Options) (jid string, err error) {
	if args == nil {
		args = []any{}
	}
	inner := map[string]any{"job_class": class, "job_id": newUUID(), "provider_job_id": nil,
		"queue_name": cmp.Or(o.Queue, "default"), "priority": nil, "arguments": args,
		"executions": 0, "exception_executions": map[string]any{},
		"locale": "en", "timezone": "UTC",
		"enqueued_at": time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z")}
	extra := map[string]any{"wrapped": class}
	maps.Copy(extra, o.Extra)
	o.Extra = extra
	return c.Push(ctx, "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper", []any{inner}, o)
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// CurrentAttributes are the attributes of the request that pushed the job, as
// Sidekiq's CurrentAttributes middleware carries them: cattr, cattr_1 and so on,
// an object each up to Sidekiq 7, pairs of ActiveJob's encoding from 8 on
// (docs/wire.md 3.6). Values are JSON. It is empty if the job carries none. To
// pass attributes to Ruby, push them as an object in Extra under "cattr": every
// version reads that.
func (j *Job) CurrentAttributes() map[string]json.RawMessage {
	all := map[string]json.RawMessage{}
	for i := 0; ; i++ {
		key := "cattr"
		if i > 0 {
			key = fmt.Sprintf("cattr_%d", i)
		}
		token := j.Field(key)
		if token == "" {
			return all
		}
		for name, value := range attributes(token) {
			all[name] = value
		}
	}
}

func attributes(token string) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(token), &object) == nil {
		return object
	}
	var pairs [][2]json.RawMessage
	if json.Unmarshal([]byte(token), &pairs) != nil {
		return nil
	}
	object = map[string]json.RawMessage{}
	for _, pair := range pairs {
		if name, ok := symbol(pair[0]); ok {
			object[name] = pair[1]
		}
	}
	return object
}

// symbol is the text of a plain string, or of a Ruby symbol as ActiveJob encodes
// it.
func symbol(token json.RawMessage) (string, bool) {
	if text, ok := unquote(string(token)); ok {
		return text, true
	}
	var s struct {
		Serializer string  `json:"_aj_serialized"`
		Value      *string `json:"value"`
	}
	if json.Unmarshal(token, &s) != nil || s.Value == nil {
		return "", false
	}
	return *s.Value, true
}
