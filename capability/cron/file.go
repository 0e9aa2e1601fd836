package cron

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/kyujobs/kyu/internal/rubyyaml"
	"go.yaml.in/yaml/v3"
)

// Load reads a schedule from a YAML file. environment is Sidekiq's (RAILS_ENV): entries for other
// environments are left out. Parse says which forms it reads.
func Load(path, environment string) (Schedule, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule: %w", err)
	}
	return Parse(path, text, environment)
}

// Parse reads a schedule from the text of a YAML file. The file has one of these forms:
//   - entries under the key entries: Kyu's own;
//   - a sidekiq.yml with :scheduler: and in it :schedule:, or with :schedule: alone, as
//     sidekiq-scheduler reads it. Random numbers in ERB tags become H;
//   - names of entries at the top, as sidekiq-cron reads it.
//
// The error has all problems, each with the file and the line.
func Parse(path string, text []byte, environment string) (Schedule, error) {
	r := &reader{path: path, environment: environment}
	text = r.randoms(text)
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		if bytes.Contains(text, []byte("<%")) {
			err = fmt.Errorf("%w; the file has ERB tags (<%%), and no Ruby is here to run them", err)
		}
		return Schedule{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(document.Content) == 0 {
		return Schedule{}, fmt.Errorf("%s: the file is empty: want entries", path)
	}
	top, err := rubyyaml.Expand(document.Content[0])
	if err != nil {
		return Schedule{}, fmt.Errorf("%s: %w", path, err)
	}
	r.top(top)
	if r.problems == nil {
		r.repeated()
	}
	return r.schedule, errors.Join(r.problems...)
}

// reader reads a file, and collects its problems.
type reader struct {
	path, environment string
	schedule          Schedule
	lines             []int // of the entries
	problems          []error
}

func (r *reader) problem(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s:%d: %w", r.path, n.Line,
		fmt.Errorf(format, args...)))
}

func (r *reader) note(n *yaml.Node, format string, args ...any) {
	r.schedule.Notes = append(r.schedule.Notes, fmt.Sprintf("%s:%d: %s", r.path, n.Line,
		fmt.Sprintf(format, args...)))
}

// member is a key of a mapping, without the colon of a Ruby symbol, and its value.
type member struct {
	key   string
	value *yaml.Node
}

func members(n *yaml.Node) (list []member) {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		list = append(list, member{strings.TrimPrefix(n.Content[i].Value, ":"), n.Content[i+1]})
	}
	return list
}

func child(n *yaml.Node, key string) *yaml.Node {
	for _, m := range members(n) {
		if m.key == key && m.value.Tag != "!!null" {
			return m.value
		}
	}
	return nil
}

// top chooses the form of the file.
func (r *reader) top(n *yaml.Node) {
	if section := child(n, r.environment); r.environment != "" && section != nil &&
		(child(section, "scheduler") != nil || child(section, "schedule") != nil) {
		n = section // it overrides the top level
	}
	scheduler, schedule := child(n, "scheduler"), child(n, "schedule")
	switch {
	case child(n, "entries") != nil:
		r.own(n)
	case scheduler != nil:
		r.sidekiqScheduler(scheduler)
	case schedule != nil:
		r.each(schedule, r.rubyEntry)
	default:
		r.each(n, r.cronEntry)
	}
}

// each reads the entries of a mapping of names, or of a list of entries that have a name.
func (r *reader) each(n *yaml.Node, read func(name string, n *yaml.Node)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := strings.TrimPrefix(n.Content[i].Value, ":"), n.Content[i+1]
			if value.Kind != yaml.MappingNode {
				r.problem(value, "entry %s: want settings such as cron and class", name)
				continue
			}
			read(name, value)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			name := child(item, "name")
			if name == nil {
				r.problem(item, "want an entry with a name")
				continue
			}
			read(name.Value, item)
		}
	default:
		r.problem(n, "want entries, each as name: settings")
	}
}

// add checks an entry and adds it to the schedule.
func (r *reader) add(n *yaml.Node, e Entry) {
	for _, err := range flatten(e.Check()) {
		r.problem(n, "entry %s: %w", e.Name, err)
	}
	r.schedule.Entries = append(r.schedule.Entries, e)
	r.lines = append(r.lines, n.Line)
}

// repeated refuses two entries of one name.
func (r *reader) repeated() {
	seen := map[string]int{}
	for i := range r.schedule.Entries {
		name := r.schedule.Entries[i].Name
		if line, again := seen[name]; again {
			r.problems = append(r.problems, fmt.Errorf("%s:%d: entry %s is also in line %d", r.path,
				r.lines[i], name, line))
		}
		seen[name] = r.lines[i]
	}
}
