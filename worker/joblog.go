package worker

import (
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// jobAttrs returns the attributes of a job's lines. Of the given fields of the payload it takes
// those that are there.
func jobAttrs(j *queue.Job, d *queue.Delivery, s *slot, fields []string) []any {
	attrs := []any{"class", j.DisplayClass(), "jid", j.JID, "queue", d.Queue, "tid", s.tid}
	for _, field := range fields {
		if text := fieldText(j.Field(field)); text != "" {
			attrs = append(attrs, field, text)
		}
	}
	return attrs
}

// fieldText returns a JSON token as a log shows it: a list of strings joined with commas, a string
// without its quotes, anything else unchanged.
func fieldText(token string) string {
	if token == "" || token == "null" {
		return ""
	}
	var list []string
	if json.Unmarshal([]byte(token), &list) == nil {
		return strings.Join(list, ",")
	}
	var text string
	if json.Unmarshal([]byte(token), &text) == nil {
		return text
	}
	return token
}

// logDecision writes the line with which a job's run ends.
func logDecision(log *slog.Logger, d *decision, err error, elapsed time.Duration) {
	log = log.With("elapsed", elapsed)
	switch {
	case d.settle.Action == queue.Requeue:
		log.Info("interrupted: back to its queue")
	case d.settle.Action == queue.Forward:
		log.Info("interrupted between two steps: goes on later")
	case d.settle.Action == queue.Schedule:
		log.Info("snoozed", "until", d.settle.At)
	case !d.failed:
		log.Info("done")
	case d.settle.Action == queue.Retry:
		log.Warn("fail", "err", err, "retry_at", d.settle.At)
	case d.settle.Action == queue.Dead:
		log.Error("fail: its retries are exhausted, it goes to the dead set", "err", err)
	default:
		log.Error("fail: it is not kept", "err", err)
	}
}
