package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/worker"
	"go.yaml.in/yaml/v3"
)

// defaultFile is the file that Sidekiq reads if none is given.
const defaultFile = "config/sidekiq.yml"

// file is a sidekiq.yml: its keys without their leading colons. The section of the
// environment overrides the top level (docs/wire.md 13.1).
type file struct {
	path   string // "" without a file
	values map[string]yaml.Node
}

// readFile reads the file of -C, which must exist, or else the default file, if it exists.
func readFile(path, environment string) (*file, error) {
	explicit := path != ""
	if !explicit {
		path = defaultFile
	}
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
	if i := bytes.Index(b, []byte("<%")); i >= 0 {
		line := 1 + bytes.Count(b[:i], []byte("\n"))
		return nil, fmt.Errorf("%s:%d: an ERB tag (<%%): there is no Ruby here to run it: write "+
			"the value itself, or use a flag or an environment variable", path, line)
	}
	top := map[string]yaml.Node{}
	if err := yaml.Unmarshal(b, &top); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &file{path: path, values: map[string]yaml.Node{}}
	f.merge(top)
	if section, ok := f.values[environment]; ok && section.Kind == yaml.MappingNode {
		inner := map[string]yaml.Node{}
		if err := section.Decode(&inner); err != nil {
			return nil, fmt.Errorf("%s: section %s: %w", path, environment, err)
		}
		delete(f.values, environment)
		f.merge(inner)
	}
	return f, nil
}

func (f *file) merge(m map[string]yaml.Node) {
	for key, v := range m {
		f.values[strings.TrimPrefix(key, ":")] = v
	}
}

func (f *file) source(key string) string { return f.path + ": " + key }

// text is a scalar's text without the colon of a Ruby symbol.
func (f *file) text(key string) (string, bool) {
	v, ok := f.values[key]
	if !ok || v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		return "", false
	}
	return strings.TrimPrefix(v.Value, ":"), true
}

// number is a scalar that must be a number of at least low.
func (f *file) number(key string, low float64) (n float64, ok bool, err error) {
	text, ok := f.text(key)
	if !ok {
		return 0, false, nil
	}
	n, perr := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if perr != nil || n < low {
		return 0, false, fmt.Errorf("%s: %s: %q: want a number of at least %v", f.path,
			key, text, low)
	}
	return n, true, nil
}

// readQueues reads a list of name, "name,weight" and [name, weight]. where is the place of
// the list in the file, for errors.
func readQueues(where string, v yaml.Node) ([]worker.QueueWeight, error) {
	if v.Kind != yaml.SequenceNode {
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
	v, ok := f.values["capsules"]
	if !ok {
		return nil, nil
	}
	if v.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: capsules: want names with concurrency and queues", f.path)
	}
	var list []worker.Capsule
	var problems []error
	for i := 0; i+1 < len(v.Content); i += 2 {
		where := f.source("capsules." + v.Content[i].Value)
		inner := map[string]yaml.Node{}
		if err := v.Content[i+1].Decode(&inner); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", where, err))
			continue
		}
		part := &file{path: where, values: map[string]yaml.Node{}}
		part.merge(inner)
		c := worker.Capsule{Name: strings.TrimPrefix(v.Content[i].Value, ":"),
			Concurrency: defaultConcurrency}
		n, given, err := part.number("concurrency", 1)
		if given {
			c.Concurrency = int(n)
		}
		problems = append(problems, err)
		if c.Queues, err = readQueues(where+".queues", part.values["queues"]); err != nil {
			problems = append(problems, err)
		}
		list = append(list, c)
	}
	return list, errors.Join(problems...)
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
	"http": true, "http_public": true, "max_rss": true}

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
