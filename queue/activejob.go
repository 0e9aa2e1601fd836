package queue

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"time"
)

// PushActiveJob pushes a job of Rails' ActiveJob, in the wrapper that every version of Rails and
// Sidekiq knows. It returns the JID and the errors of Push. The arguments must be in ActiveJob's
// encoding: numbers, strings, booleans, nil and lists as they are, a record as
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

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
