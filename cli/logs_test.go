package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
)

// logLines gives the lines that log writes in a format.
func logLines(format string, log func(*slog.Logger)) string {
	var out bytes.Buffer
	log(slog.New(newHandler(&out, format, slog.LevelInfo, func(string) string { return "" })))
	return out.String()
}

// tags is a field of a payload, as package worker logs it.
type tags struct{}

func (tags) String() string { return "x,y" }

func (tags) MarshalJSON() ([]byte, error) { return []byte("[\"x,y\",\n 1]"), nil }

// logJob logs a job as the worker does.
func logJob(l *slog.Logger) {
	l.With("class", "A", "jid", "b", "queue", "q", "tid", "t1", "tags", tags{}).Info("done",
		"elapsed", 1500*time.Millisecond, "err", "two words\n\"é\"", "n", 3)
	l.Debug("not shown")
}

func TestTextLog(t *testing.T) {
	const want = ` class=A jid=b queue=q tid=t1 tags=x,y elapsed=1.5 err="two words\n\"é\"" n=3 ` +
		"INFO: done\n"
	for _, format := range []string{"plain", "pretty"} {
		t.Run(format+" has the order of Sidekiq 6 and 7", func(t *testing.T) {
			line := logLines(format, logJob)
			stamp, rest, _ := strings.Cut(line, " pid=")
			if _, err := time.Parse(stampLayout, stamp); err != nil {
				t.Error(err)
			}
			if !strings.HasSuffix(rest, want) || strings.Count(line, "\n") != 1 {
				t.Errorf("%q", line)
			}
		})
	}
	t.Run("colours the level of pretty on a terminal", func(t *testing.T) {
		var out bytes.Buffer
		h := newHandler(&out, "pretty", slog.LevelInfo, func(string) string { return "" })
		h.colour = true
		slog.New(h).Warn("fail")
		if !strings.HasSuffix(out.String(), " \x1b[1;33mWARN\x1b[0m: fail\n") {
			t.Errorf("%q", out.String())
		}
	})
	t.Run("has no time under systemd", func(t *testing.T) {
		var out bytes.Buffer
		slog.New(newHandler(&out, "plain", slog.LevelInfo, func(key string) string {
			return map[string]string{"JOURNAL_STREAM": "8:1"}[key]
		})).Info("done")
		if !strings.HasPrefix(out.String(), "pid=") {
			t.Error(out.String())
		}
	})
	t.Run("escapes characters that steer a terminal or break a line", func(t *testing.T) {
		const bad = "\x1b[2J\r\b\v\f\x7f\x9b\u0085\u2028\u202e\nFAKE line"
		text := logLines("pretty", func(l *slog.Logger) {
			l.Info("fail "+bad, "err", bad, "stack", bad+"\n\tmain.go:1")
		})
		for _, r := range strings.ReplaceAll(text, "\n\tmain.go:1\n", "") {
			if !unicode.IsGraphic(r) && r != '\n' {
				t.Errorf("%q in %q", r, text)
			}
		}
		if n := strings.Count(text, "\n"); n != 4 { // the record, and three lines of the stack
			t.Errorf("%d lines: %q", n, text)
		}
	})
	t.Run("has Japanese text as it is", func(t *testing.T) {
		text := logLines("plain", func(l *slog.Logger) {
			l.Info("失敗　しました", "err", "接続が　切れた")
		})
		if !strings.Contains(text, "err=接続が　切れた INFO: 失敗　しました") {
			t.Error(text)
		}
	})
}

func TestJSONLog(t *testing.T) {
	var line struct {
		TS, TID, Lvl, Msg string
		PID               int
		Ctx               struct {
			Class, JID, Queue, Err string
			Tags                   []any
			Elapsed                float64
			N                      int
		}
	}
	text := logLines("json", logJob)
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatal(err, text)
	}
	if line.TID != "t1" || line.Lvl != "INFO" || line.Msg != "done" || line.PID != os.Getpid() ||
		line.Ctx.Class != "A" || line.Ctx.Queue != "q" || line.Ctx.Elapsed != 1.5 ||
		fmt.Sprint(line.Ctx.Tags) != "[x,y 1]" || strings.Count(text, "\n") != 1 ||
		line.Ctx.N != 3 || line.Ctx.Err != "two words\n\"é\"" {
		t.Error(text)
	}
	if _, err := time.Parse(time.RFC3339, line.TS); err != nil {
		t.Error(err)
	}
}
