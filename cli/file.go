package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/kyujobs/kyu/internal/rubyyaml"
	"github.com/kyujobs/kyu/worker"
	"go.yaml.in/yaml/v3"
)

// defaultFile is the file that Sidekiq reads if none is given.
const defaultFile = "config/sidekiq.yml"

// file is a sidekiq.yml: its keys without their leading colons. The section of the
// environment overrides the top level (docs/wire.md 13.1).
type file struct {
	path   string // "" without a file
	values map[string]*yaml.Node
}

// readFile reads the file of -C, which must exist, or else the default file, if it exists.
func readFile(o *options, environment string) (*file, error) {
	explicit := o.config != ""
	path := o.path(cmp.Or(o.config, defaultFile))
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && !explicit:
		return &file{}, nil
	case err != nil:
		return nil, fmt.Errorf("config file: %w", err)
	}
	return parseFile(path, b, environment)
}

func parseFile(path string, b []byte, environment string) (*file, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(b, &document); err != nil {
		if i := bytes.Index(b, []byte("<%")); i >= 0 {
			return nil, noRuby(path, 1+bytes.Count(b[:i], []byte("\n")))
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if line := erbLine(&document); line > 0 {
		return nil, noRuby(path, line)
	}
	f := &file{path: path, values: map[string]*yaml.Node{}}
	if len(document.Content) == 0 {
		return f, nil // an empty file
	}
	top, err := rubyyaml.Expand(document.Content[0])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if top.Kind != yaml.MappingNode && top.Tag != "!!null" {
		return nil, fmt.Errorf("%s: want settings, each as name: value", path)
	}
	f.merge(top)
	if section := f.values[environment]; section != nil && section.Kind == yaml.MappingNode {
		delete(f.values, environment)
		f.merge(section)
	}
	return f, nil
}

func noRuby(path string, line int) error {
	return fmt.Errorf("%s:%d: an ERB tag (<%%): there is no Ruby here to run it: write the value "+
		"itself, or use a flag or an environment variable", path, line)
}

// erbLine returns the line of the first ERB tag, or 0. The schedule of sidekiq-scheduler may have
// tags: package cron reads it, if it is asked to.
func erbLine(n *yaml.Node) int {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "<%") {
		return n.Line
	}
	for i, item := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			key := strings.TrimPrefix(n.Content[i-1].Value, ":")
			if key == "scheduler" || key == "schedule" {
				continue
			}
		}
		if line := erbLine(item); line > 0 {
			return line
		}
	}
	return 0
}

// merge takes the fields of a mapping.
func (f *file) merge(m *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		f.values[strings.TrimPrefix(m.Content[i].Value, ":")] = m.Content[i+1]
	}
}

// value is the value of a key, nil if there is none, or nothing behind the key.
func (f *file) value(key string) *yaml.Node {
	if v := f.values[key]; v != nil && v.Tag != "!!null" {
		return v
	}
	return nil
}

func (f *file) source(key string) string { return f.path + ": " + key }

// text is a scalar's text without the colon of a Ruby symbol.
func (f *file) text(key string) (string, bool) {
	v := f.value(key)
	if v == nil || v.Kind != yaml.ScalarNode {
		return "", false
	}
	return strings.TrimPrefix(v.Value, ":"), true
}

// number is a scalar that must be a number within bounds.
func (f *file) number(key string, b bounds) (n float64, ok bool, err error) {
	if f.value(key) == nil {
		return 0, false, nil
	}
	text, ok := f.text(key)
	where := fmt.Sprintf("%s: %s: %q", f.path, key, text)
	if !ok {
		return 0, false, fmt.Errorf("%s: %s: want a number, not a list or a mapping", f.path, key)
	}
	n, err = rubyNumber(text)
	if err != nil {
		n = math.NaN()
	}
	if err := b.check(n, where); err != nil {
		return 0, false, err
	}
	return n, true, nil
}

// flag is a scalar that must be true or false; ok is false if it is not there.
func (f *file) flag(key string) (value, ok bool, err error) {
	if f.value(key) == nil {
		return false, false, nil
	}
	text, _ := f.text(key)
	value, ok = rubyBool(text)
	if !ok {
		return false, false, fmt.Errorf("%s: %q: want true or false", f.source(key), text)
	}
	return value, true, nil
}

// readQueues reads a list of name, "name,weight" and [name, weight]. where is the place of
// the list in the file, for errors.
func readQueues(where string, v *yaml.Node) ([]worker.QueueWeight, error) {
	if v == nil || v.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("%s: want a list of queues", where)
	}
	var queues []worker.QueueWeight
	var problems []error
	for _, item := range v.Content {
		text := item.Value
		if item.Kind == yaml.SequenceNode {
			var parts []string
			for _, p := range item.Content {
				parts = append(parts, p.Value)
			}
			text = strings.Join(parts, ",")
		}
		q, err := parseQueue(strings.TrimPrefix(text, ":"))
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", where, err))
		}
		queues = append(queues, q)
	}
	return queues, errors.Join(problems...)
}

// capsules reads a map of names to concurrency and queues, in the order of the file.
func (f *file) capsules() ([]worker.Capsule, error) {
	v := f.value("capsules")
	if v == nil {
		return nil, nil
	}
	if v.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: capsules: want names with concurrency and queues", f.path)
	}
	var list []worker.Capsule
	var problems []error
	for i := 0; i+1 < len(v.Content); i += 2 {
		name := strings.TrimPrefix(v.Content[i].Value, ":")
		c, err := f.capsule(name, v.Content[i+1])
		list, problems = append(list, c), append(problems, err)
	}
	return list, errors.Join(problems...)
}

// capsule reads one of them.
func (f *file) capsule(name string, v *yaml.Node) (worker.Capsule, error) {
	c := worker.Capsule{Name: name, Concurrency: defaultConcurrency}
	where := f.source("capsules." + name)
	if v.Kind != yaml.MappingNode {
		return c, fmt.Errorf("%s: want concurrency and queues", where)
	}
	part := &file{path: where, values: map[string]*yaml.Node{}}
	part.merge(v)
	n, given, err := part.number("concurrency", threadBounds)
	if given {
		c.Concurrency = int(n)
	}
	problems := []error{err}
	c.Queues, err = readQueues(where+".queues", part.value("queues"))
	problems = append(problems, err)
	for key := range part.values {
		if key != "concurrency" && key != "queues" {
			problems = append(problems, fmt.Errorf("%s: %s: a capsule has concurrency and queues, "+
				"and nothing else", where, key))
		}
	}
	return c, errors.Join(problems...)
}

// knownKeys are the keys of the file that mean something, here or in Sidekiq. The last two
// lines are Kyu's own; Sidekiq ignores them.
var knownKeys = map[string]bool{"concurrency": true, "queues": true, "timeout": true,
	"verbose": true, "tag": true,
	"labels": true, "max_retries": true, "dead_max_jobs": true, "dead_timeout_in_seconds": true,
	"average_scheduled_poll_interval": true, "poll_interval_average": true,
	"skip_default_job_logging": true, "capsules": true,
	"require": true, "environment": true, "strict": true, "max_iteration_runtime": true,
	"logged_job_attributes": true,
	"redis_idle_timeout":    true, "scheduler": true, "health_check": true,
	"unknown": true, "timestamps": true, "allow_batches": true, "sidekiq7_metrics": true,
	"http": true, "http_public": true, "max_rss": true, "schedule_file": true,
	"lanes": true}

// unknown are the keys that nothing reads: they are probably mistakes.
func (f *file) unknown() []string {
	var keys []string
	for key, v := range f.values {
		// A mapping is a section of another environment.
		if !knownKeys[key] && v.Kind != yaml.MappingNode {
			keys = append(keys, key)
		}
	}
	return keys
}
