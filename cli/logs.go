package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// handler writes records in the formats of Sidekiq 6 and 7 (docs/wire.md 13.2). A line of
// plain and of pretty is
//
//	2026-11-22T11:08:30.668Z pid=1 class=A jid=b queue=push tid=push3 elapsed=0.012 INFO: done
//
// The pairs stand in the order in which they were added: first those of the job, then those
// of the record. On a terminal pretty colours the level, unless NO_COLOR is set; plain never
// does. json is one object per line with ts, pid, tid, lvl and msg, and with all other pairs
// in ctx.
type handler struct {
	out    io.Writer
	mu     *sync.Mutex // one for all handlers of out; guards writes
	format string
	level  slog.Level
	stamp  bool // plain and pretty begin with the time; Heroku and systemd add their own
	colour bool
	pid    string
	attrs  []slog.Attr
}

func newHandler(out io.Writer, format string, level slog.Level,
	getenv func(string) string) *handler {
	h := &handler{out: out, mu: new(sync.Mutex), format: format, level: level,
		stamp: getenv("DYNO") == "" &&
			getenv("JOURNAL_STREAM") == "", pid: strconv.Itoa(os.Getpid())}
	f, ok := out.(interface{ Stat() (os.FileInfo, error) })
	if ok && format == "pretty" && getenv("NO_COLOR") == "" {
		info, err := f.Stat()
		h.colour = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return h
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return &c
}

// WithGroup ignores groups: Sidekiq's format has none.
func (h *handler) WithGroup(string) slog.Handler { return h }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	attrs := h.attrs[:len(h.attrs):len(h.attrs)]
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	var b bytes.Buffer
	if h.format == "json" {
		h.json(&b, r, attrs)
	} else {
		h.text(&b, r, attrs)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.out.Write(b.Bytes())
	return err
}

const stampLayout = "2006-01-02T15:04:05.000Z"

func (h *handler) text(b *bytes.Buffer, r slog.Record, attrs []slog.Attr) {
	if h.stamp {
		b.WriteString(r.Time.UTC().Format(stampLayout))
		b.WriteByte(' ')
	}
	b.WriteString("pid=" + h.pid)
	var tail string
	for _, a := range attrs {
		text := value(a)
		if strings.Contains(text, "\n") && strings.HasPrefix(a.Key, "stack") {
			for line := range strings.Lines(text) {
				tail += "\n" + escape(strings.TrimSuffix(line, "\n"))
			}
			continue
		}
		if quoted := strconv.QuoteToGraphic(text); text == "" || len(quoted) != len(text)+2 ||
			strings.Contains(text, " ") {
			text = quoted
		}
		b.WriteString(" " + a.Key + "=" + text)
	}
	level := r.Level.String()
	if h.colour {
		level = colours[r.Level] + level + "\x1b[0m"
	}
	fmt.Fprintf(b, " %s: %s%s\n", level, escape(r.Message), tail)
}

// escape returns a text without line breaks and characters that steer a terminal: a text that comes
// from a job must not look like a line of the log. Tabs stay, because stacks have them.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\t' || unicode.IsGraphic(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

var colours = map[slog.Level]string{slog.LevelDebug: "\x1b[1;32m", slog.LevelInfo: "\x1b[1;34m",
	slog.LevelWarn: "\x1b[1;33m", slog.LevelError: "\x1b[1;31m"}

func (h *handler) json(b *bytes.Buffer, r slog.Record, attrs []slog.Attr) {
	tid := ""
	ctx := new(bytes.Buffer)
	for _, a := range attrs {
		if a.Key == "tid" {
			tid = value(a)
			continue
		}
		if ctx.Len() > 0 {
			ctx.WriteByte(',')
		}
		ctx.Write(quote(a.Key))
		ctx.WriteByte(':')
		ctx.Write(jsonValue(a))
	}
	fmt.Fprintf(b, `{"ts":"%s","pid":%s,"tid":%s,"lvl":"%s","msg":%s`,
		r.Time.UTC().Format(stampLayout), h.pid, quote(tid), r.Level, quote(r.Message))
	if ctx.Len() > 0 {
		fmt.Fprintf(b, `,"ctx":{%s}`, ctx)
	}
	b.WriteString("}\n")
}

func quote(s string) []byte {
	b, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\ufffd"))
	if err != nil {
		return []byte(`""`) // only invalid UTF-8 is refused
	}
	return b
}

// jsonValue is a number for numbers and durations (in seconds), the JSON of a value that has one,
// such as a field of a payload, and else a string.
func jsonValue(a slog.Attr) []byte {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindInt64, slog.KindUint64, slog.KindBool, slog.KindDuration:
		return []byte(value(a))
	case slog.KindFloat64:
		if b, err := json.Marshal(v.Float64()); err == nil {
			return b
		}
	case slog.KindAny:
		if m, ok := v.Any().(json.Marshaler); ok {
			b, err := m.MarshalJSON()
			text := jsontext.Value(bytes.Clone(b))
			if err == nil && text.IsValid() && text.Compact() == nil {
				return text
			}
		}
	}
	return quote(value(a))
}

// value is an attribute's text: durations in seconds to the millisecond, times
// in UTC.
func value(a slog.Attr) string {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindDuration:
		text := strconv.FormatFloat(v.Duration().Round(time.Millisecond).Seconds(), 'f', 3, 64)
		return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	case slog.KindTime:
		return v.Time().UTC().Format(stampLayout)
	default:
		return v.String()
	}
}
