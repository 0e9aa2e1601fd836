package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// row is a job in a list.
type row struct {
	JID   string          `json:"jid"`
	Class string          `json:"class"`
	Queue string          `json:"queue"`
	Args  json.RawMessage `json:"args"`
	At    *time.Time      `json:"at,omitempty"`
	Count *int            `json:"retry_count,omitempty"`
	Error string          `json:"error,omitempty"`
	Job   json.RawMessage `json:"job"` // the whole payload; a string if it is not JSON
}

func newRow(raw string, j *queue.Job, at time.Time) row {
	r := row{Class: "(not a job)", Job: rawJSON(raw), Args: json.RawMessage("null")}
	if !at.IsZero() {
		r.At = &at
	}
	if j == nil {
		return r
	}
	r.JID, r.Class, r.Queue, r.Args = j.JID, j.DisplayClass(), j.Queue, j.Args
	if n, ok := j.RetryCount(); ok {
		r.Count = &n
	}
	if class := j.String("error_class"); class != "" {
		r.Error = class + ": " + j.String("error_message")
	}
	return r
}

func rawJSON(raw string) json.RawMessage {
	if json.Valid([]byte(raw)) {
		return json.RawMessage(raw)
	}
	b, _ := json.Marshal(raw) // a string always marshals
	return b
}

func (c *ctl) jobs(list []row, when string) error {
	if c.json {
		return c.print(append([]row{}, list...))
	}
	t := c.table()
	t.row("JID", "CLASS", "QUEUE", "ARGS", when, "RETRY", "ERROR")
	for _, r := range list {
		at, count := "", ""
		if r.At != nil {
			at = r.At.UTC().Format("2006-01-02 15:04:05")
		}
		if r.Count != nil {
			count = strconv.Itoa(*r.Count)
		}
		if r.At == nil {
			if j, err := envelope.ParseJob(string(r.Job)); err == nil {
				at = age(time.Since(j.Time("enqueued_at")).Seconds())
			}
		}
		t.row(r.JID, r.Class, r.Queue, short(string(r.Args), 40), at, count, short(r.Error, 60))
	}
	return t.Flush()
}

// table writes columns for people.
type table struct{ *tabwriter.Writer }

func (c *ctl) table() table { return table{tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)} }

func (t table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, cell := range cells {
		text[i] = printable(fmt.Sprint(cell))
	}
	fmt.Fprintln(t, strings.TrimRight(strings.Join(text, "\t"), "\t "))
}

// printable keeps what jobs carry from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return '·'
		}
		return r
	}, s)
}

func (c *ctl) print(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func short(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// age is a number of seconds as people say it.
func age(seconds float64) string {
	if seconds > 1e9 { // nothing said when
		return ""
	}
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}
