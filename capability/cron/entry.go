package cron

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Entry is a job that is pushed again and again, at the slots of a cron expression or in equal
// distances. Exactly one of Cron and Every is set.
type Entry struct {
	Name string `json:"name"` // 1 to 128 bytes; it is part of keys in Redis
	// Cron has five fields: minute hour day month weekday; or six, with the second before them. H
	// is a number that follows from Name, so that entries do not all come at once; H(3-5) limits
	// it. The name of a time zone may follow.
	Cron  string        `json:"cron,omitempty"`
	Every time.Duration `json:"every,omitempty"` // whole seconds, from 1 s to 366 days
	TZ    string        `json:"tz,omitempty"`    // of Cron, such as Europe/Berlin; UTC if empty

	Class       string         `json:"class"`
	Queue       string         `json:"queue,omitempty"` // "default" if empty
	Args        []any          `json:"args,omitempty"`
	Retry       string         `json:"retry,omitempty"` // "true" (also if ""), "false" or a number
	Extra       map[string]any `json:"extra,omitempty"` // further fields of the payload
	Description string         `json:"description,omitempty"`

	Misfire Misfire `json:"misfire,omitempty"` // Once if empty
	// NoOverlap skips a slot while the job of an earlier slot waits, runs or is retried. The lock
	// is released by Kyu's processes, and ends after OverlapFor whatever happens.
	NoOverlap  bool          `json:"no_overlap,omitempty"`
	OverlapFor time.Duration `json:"overlap_for,omitempty"` // 24 h if 0
	OnlyIf     []Condition   `json:"only_if,omitempty"`     // a slot is skipped unless all are true
	Disabled   bool          `json:"disabled,omitempty"`    // it has no slots
	Beside     Gem           `json:"beside,omitempty"`      // the gem that may have the same entry
}

// Misfire says what happens to slots that were missed: no process could push for 10 seconds or more
// after them, because all were stopped or Redis was away.
type Misfire string

const (
	Once Misfire = "once" // the latest is made up for, if it is less than an hour old
	Skip Misfire = "skip" // none is made up for
	All  Misfire = "all"  // all are made up for, but at most the latest 100
)

// Condition lets a slot pass if the queue is small enough. A limit of 0 is no limit.
type Condition struct {
	Queue        string        `json:"queue"`
	SizeBelow    int64         `json:"size_below,omitempty"`    // jobs that wait
	LatencyBelow time.Duration `json:"latency_below,omitempty"` // age of the oldest of them
}

// Gem is a Ruby gem that fires schedules.
type Gem string

const (
	SidekiqScheduler Gem = "sidekiq-scheduler"
	SidekiqCron      Gem = "sidekiq-cron"
)

const (
	defaultOverlapFor = 24 * time.Hour
	maxPeriod         = 366 * 24 * time.Hour
	maxConditions     = 4
	maxName           = 128
)

// Check returns an error with all problems of the entry.
func (e *Entry) Check() error {
	_, err := e.timing()
	problems := []error{err, checkName(e.Name), e.checkJob(), e.checkPolicies()}
	for i := range e.OnlyIf {
		problems = append(problems, e.OnlyIf[i].check())
	}
	return errors.Join(problems...)
}

// timing returns the slots of the entry.
func (e *Entry) timing() (timing, error) {
	switch {
	case (e.Cron == "") == (e.Every == 0):
		return nil, errors.New("want one of cron and every")
	case e.Every != 0 && (e.Every < time.Second || e.Every > maxPeriod || e.Every%time.Second != 0):
		return nil, fmt.Errorf("every %v: want whole seconds, from 1s to 366d", e.Every)
	case e.Every != 0 && e.TZ != "":
		return nil, errors.New("tz: every has no time zone: only cron has one")
	case e.Every != 0:
		return newEvery(e.Every, e.Name), nil
	}
	x, zone, err := parseExpression(e.Cron, e.Name)
	if zone != "" && e.TZ != "" && zone != e.TZ {
		err = errors.Join(err, fmt.Errorf("cron %q has the zone %s, and tz is %s: want one", e.Cron,
			zone, e.TZ))
	}
	if zone == "" {
		zone = e.TZ
	}
	location, zoneErr := loadZone(zone)
	if err := errors.Join(err, zoneErr); err != nil {
		return nil, err
	}
	return &calendar{*x, location}, nil
}

// checkName refuses names that would make two keys one, or that cannot be shown in a line.
func checkName(name string) error {
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	if name == "" || len(name) > maxName || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, bad) || strings.HasSuffix(name, ":runs") ||
		strings.HasSuffix(name, ":lock") {
		return fmt.Errorf("name %q: want 1 to %d bytes of printable text that do not end with "+
			":runs or :lock", name, maxName)
	}
	return nil
}

func (e *Entry) checkJob() error {
	var problems []error
	if !envelope.ValidName(e.Class) {
		problems = append(problems, fmt.Errorf("class %q: want 1 to 128 of A-Z a-z 0-9 _ . : -",
			e.Class))
	}
	if e.Queue != "" && !envelope.ValidName(e.Queue) {
		problems = append(problems, fmt.Errorf("queue %q: want 1 to 128 of A-Z a-z 0-9 _ . : -",
			e.Queue))
	}
	if _, err := e.retry(); err != nil {
		problems = append(problems, err)
	}
	if _, taken := e.Extra[extraField]; taken {
		problems = append(problems, fmt.Errorf("%s: this field is Kyu's own", extraField))
	}
	if problems == nil { // a push to nowhere finds what is left, such as args that are no JSON
		_, err := queue.NewClient(nowhere{}).Push(context.Background(), e.Class, e.Args,
			queue.Options{Queue: e.Queue, Extra: e.Extra})
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// nowhere is a backend that stores nothing.
type nowhere struct{}

func (nowhere) PushBatches(context.Context, []queue.Batch) error { return nil }

// When says in a word or two when the entry is due: "every 1h0m0s", "0 3 * * * Europe/Berlin".
func (e *Entry) When() string {
	if e.Every > 0 {
		return "every " + e.Every.String()
	}
	return strings.TrimSpace(e.Cron + " " + e.TZ)
}

// QueueName is the queue to which the entry pushes.
func (e *Entry) QueueName() string {
	if e.Queue == "" {
		return "default"
	}
	return e.Queue
}

func (e *Entry) retry() (o queue.RetryOption, err error) {
	var n int
	switch e.Retry {
	case "", "true":
		return o, nil
	case "false":
		return queue.NeverRetry, nil
	}
	if _, err := fmt.Sscanf(e.Retry, "%d", &n); err != nil || n < 0 || e.Retry != fmt.Sprint(n) {
		return o, fmt.Errorf("retry %q: want true, false or a number", e.Retry)
	}
	return queue.RetryMax(n), nil
}

func (e *Entry) checkPolicies() error {
	var problems []error
	switch e.Misfire {
	case "", Once, Skip, All:
	default:
		problems = append(problems, fmt.Errorf("misfire %q: want once, skip or all", e.Misfire))
	}
	switch e.Beside {
	case "", SidekiqScheduler, SidekiqCron:
	default:
		problems = append(problems, fmt.Errorf("beside %q: want %s or %s", e.Beside,
			SidekiqScheduler, SidekiqCron))
	}
	if e.OverlapFor < 0 || e.OverlapFor > 0 && (e.OverlapFor < time.Second || !e.NoOverlap) {
		problems = append(problems, fmt.Errorf("overlap_for %v: want at least 1s, and "+
			"overlap: skip", e.OverlapFor))
	}
	if len(e.OnlyIf) > maxConditions {
		problems = append(problems, fmt.Errorf("only_if has %d conditions: want at most %d",
			len(e.OnlyIf), maxConditions))
	}
	return errors.Join(problems...)
}

func (c *Condition) check() error {
	if !envelope.ValidName(c.Queue) {
		return fmt.Errorf("only_if: queue %q: want 1 to 128 of A-Z a-z 0-9 _ . : -", c.Queue)
	}
	if c.SizeBelow < 0 || c.LatencyBelow < 0 || c.SizeBelow == 0 && c.LatencyBelow == 0 {
		return fmt.Errorf("only_if: queue %s: want size_below, latency_below or both, above 0",
			c.Queue)
	}
	return nil
}

// spec returns the entry as JSON, as it is kept in Redis. Args and Extra are encoded as in a
// payload, so that 1.0 stays 1.0.
func (e *Entry) spec() string {
	plain := *e
	plain.Args, plain.Extra = make([]any, len(e.Args)), map[string]any{}
	for i, v := range e.Args {
		plain.Args[i] = token(v)
	}
	for k, v := range e.Extra {
		plain.Extra[k] = token(v)
	}
	b, _ := json.Marshal(&plain) // of checked values
	return string(b)
}

func token(v any) json.RawMessage {
	b, err := envelope.Encode(v, 1)
	if err != nil { // Check refuses such a value
		return json.RawMessage("null")
	}
	return b
}

// parseSpec reads an entry as spec wrote it.
func parseSpec(text string) (e Entry, err error) {
	var raw struct {
		Args  []json.RawMessage          `json:"args"`
		Extra map[string]json.RawMessage `json:"extra"`
	}
	if err := errors.Join(json.Unmarshal([]byte(text), &e),
		json.Unmarshal([]byte(text), &raw)); err != nil {
		return e, fmt.Errorf("the spec in Redis is no entry: %w", err)
	}
	for i := range e.Args {
		e.Args[i] = raw.Args[i]
	}
	for k := range e.Extra {
		e.Extra[k] = raw.Extra[k]
	}
	return e, e.Check()
}

// rev names the version of an entry. Two entries have the same if they are equal.
func (e *Entry) rev() string { return digest(e.spec()) }

// timingRev names the version of what the slots depend on.
func (e *Entry) timingRev() string {
	return digest(e.Cron, e.Every.String(), e.TZ, fmt.Sprint(e.Disabled))
}

// digest returns 24 hex digits that follow from the words.
func digest(words ...string) string {
	h := sha256.New()
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s,", len(w), w)
	}
	return hex.EncodeToString(h.Sum(nil))[:24]
}
