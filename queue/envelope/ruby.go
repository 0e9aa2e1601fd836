package envelope

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// RubyRefuses says why a Ruby process or one of Sidekiq's pages fails on the job, or nil if they
// read it. Go reads more than they do: a lone surrogate ("\ud83d", an emoji that was cut in half),
// a key that an object has twice, invalid UTF-8, nesting beyond 100 levels, tags that are no list
// (docs/wire.md 2.3). Such a job must not get into the retry or the schedule set: the page of the
// set fails, and a Ruby poller takes the job out and loses it.
func (j *Job) RubyRefuses() error {
	if !j.shown() {
		return errors.New("not readable by the pages of Ruby: its tags are no list, or its queue " +
			"is no text")
	}
	return rubyJSON(j.raw)
}

// shown reports whether every page shows the job: they take tags for a list and the queue for a
// text.
func (j *Job) shown() bool {
	tags, queue := j.Field("tags"), j.Field("queue")
	return (tags == "" || tags == "null" || tags[0] == '[' || tags[0] == '{') &&
		(queue == "" || queue == "null" || queue[0] == '"')
}

// rubyJSON is the part of RubyRefuses that is about the JSON.
func rubyJSON(raw string) error {
	d := jsontext.NewDecoder(strings.NewReader(raw))
	for {
		_, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("not readable by Ruby: %w", err)
		}
		if d.StackDepth() > maxDepth {
			return fmt.Errorf("not readable by Ruby: nested deeper than %d levels", maxDepth)
		}
	}
}

// hidden is put before bytes on which the Dead page of Ruby fails.
const hidden = "not a job: "

// ForDeadSet is the form in which bytes go to the dead set: as they are, with one exception. The
// Dead page shows bytes that are no JSON. But it fails, and then shows no job at all, on JSON that
// is no object, such as null or [1], and on an object whose tags are no list or whose queue is no
// text. These get "not a job: " put before them, which makes them no JSON.
func ForDeadSet(raw string) string {
	text := strings.TrimLeft(raw, " \t\r\n")
	if text == "" {
		return raw
	}
	if text[0] == '{' {
		if j, err := parseObject(raw); err == nil && !j.shown() {
			return hidden + raw
		}
		return raw
	}
	if jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true),
		jsontext.AllowInvalidUTF8(true)) {
		return hidden + raw
	}
	return raw
}

// Original gives the bytes that ForDeadSet was given.
func Original(raw string) string { return strings.TrimPrefix(raw, hidden) }
