package worker

import (
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// jobAttrs returns the attributes of a job's lines. Of the given fields of the payload it takes
// those that are there.
func jobAttrs(j *queue.Job, d *queue.Delivery, s *slot, fields []string) []any {
	attrs := []any{"class", j.DisplayClass(), "jid", j.JID, "queue", d.Queue, "tid", s.tid}
	for _, field := range fields {
		token := fieldToken(j.Field(field))
		if token != "" && token != "null" && token.String() != "" {
			attrs = append(attrs, field, token)
		}
	}
	return attrs
}

// fieldToken is a field of a payload, as JSON. A log in JSON has it as it is.
type fieldToken string

// MarshalJSON returns the token.
func (f fieldToken) MarshalJSON() ([]byte, error) { return []byte(f), nil }

// String returns the token as a log for people shows it: the elements of a list joined with commas,
// a string without its quotes, anything else unchanged.
func (f fieldToken) String() string {
	var list []json.RawMessage
	if f[0] != '[' || json.Unmarshal([]byte(f), &list) != nil {
		return unquoted(string(f))
	}
	texts := make([]string, len(list))
	for i, element := range list {
		texts[i] = unquoted(string(element))
	}
	return strings.Join(texts, ",")
}

func unquoted(token string) string {
	if text, ok := envelope.Unquote(token); ok {
		return text
	}
	return token
}

// logSeconds returns a duration as logs have it: in seconds to the millisecond, whatever handler
// writes them. Handlers of log/slog would write 1.5s as text, and nanoseconds in JSON.
func logSeconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// logDecision writes the line with which a job's run ends.
func logDecision(log *slog.Logger, d *decision, err error, elapsed time.Duration) {
	log = log.With("elapsed", logSeconds(elapsed))
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
