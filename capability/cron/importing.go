package cron

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Import reads the entries that sidekiq-scheduler and sidekiq-cron have in Redis, with the ERB of
// their files already resolved. An entry that is disabled on a page of Ruby is disabled. The error
// has all entries that cannot be understood; the others are returned with it.
func (c Control) Import(ctx context.Context) (Schedule, error) {
	rdb, ks := c.Store.DB().Shared, c.Store.Keys()
	r := &reader{path: keySchedules}
	schedules, err := rdb.HGetAll(ctx, ks.Key(keySchedules)).Result()
	if err != nil {
		return Schedule{}, fmt.Errorf("import: %w", err)
	}
	states, err := rdb.HGetAll(ctx, ks.Key(keyStates)).Result()
	if err != nil {
		return Schedule{}, fmt.Errorf("import: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(schedules)) {
		r.json(name, schedules[name], r.rubyEntry)
		if last := len(r.schedule.Entries) - 1; last >= 0 && r.schedule.Entries[last].Name == name &&
			strings.Contains(states[name], `"enabled":false`) {
			r.schedule.Entries[last].Disabled = true
		}
	}
	r.path = keyCronJobs
	jobs, err := rdb.SMembers(ctx, ks.Key(keyCronJobs)).Result()
	if err != nil {
		return Schedule{}, fmt.Errorf("import: %w", err)
	}
	slices.Sort(jobs)
	for _, key := range jobs {
		fields, err := rdb.HGetAll(ctx, ks.Key(key)).Result()
		if err != nil {
			return Schedule{}, fmt.Errorf("import: %w", err)
		}
		r.json(strings.TrimPrefix(key, "cron_job:"), cronJob(fields), r.cronEntry)
	}
	return r.schedule, errors.Join(r.problems...)
}

// json reads an entry from JSON, which is YAML too.
func (r *reader) json(name, text string, read func(name string, n *yaml.Node)) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil || len(document.Content) == 0 {
		r.problems = append(r.problems, fmt.Errorf("%s: entry %s is no JSON object", r.path, name))
		return
	}
	read(name, document.Content[0])
}

// cronJob returns the settings of a job of sidekiq-cron as in its file. The queue is in the message.
func cronJob(fields map[string]string) string {
	out := map[string]string{}
	for _, key := range []string{"cron", "klass", "description", "args", "status", "active_job",
		"date_as_argument", "symbolize_args"} {
		if fields[key] != "" {
			out[key] = fields[key]
		}
	}
	var message struct {
		Queue string
		Retry json.RawMessage
	}
	if json.Unmarshal([]byte(fields["message"]), &message) == nil {
		if message.Queue != "" {
			out["queue"] = message.Queue
		}
		if len(message.Retry) > 0 {
			out["retry"] = strings.Trim(string(message.Retry), `"`)
		}
	}
	b, _ := json.Marshal(out) // strings always encode
	return string(b)
}

// fileEntry is an entry in Kyu's own form.
type fileEntry struct {
	Cron        string         `yaml:"cron,omitempty"`
	Every       string         `yaml:"every,omitempty"`
	TZ          string         `yaml:"tz,omitempty"`
	Class       string         `yaml:"class"`
	Queue       string         `yaml:"queue,omitempty"`
	Args        []any          `yaml:"args,omitempty,flow"`
	Retry       string         `yaml:"retry,omitempty"`
	Extra       map[string]any `yaml:"extra,omitempty"`
	Description string         `yaml:"description,omitempty"`
	Misfire     Misfire        `yaml:"misfire,omitempty"`
	Overlap     string         `yaml:"overlap,omitempty"`
	Beside      Gem            `yaml:"beside,omitempty"`
	Enabled     *bool          `yaml:"enabled,omitempty"`
}

// Format returns entries as a file in Kyu's own form. It leaves out conditions, which no Ruby gem
// has.
func Format(s Schedule) ([]byte, error) {
	top := &yaml.Node{Kind: yaml.MappingNode}
	for i := range s.Entries {
		e := &s.Entries[i]
		f := fileEntry{Cron: e.Cron, TZ: e.TZ, Class: e.Class, Queue: e.Queue, Args: e.Args,
			Retry: e.Retry, Extra: e.Extra, Description: e.Description, Misfire: e.Misfire,
			Beside: e.Beside}
		if e.Every > 0 {
			f.Every = e.Every.String()
		}
		if e.NoOverlap {
			f.Overlap = "skip"
		}
		if e.Disabled {
			f.Enabled = new(bool)
		}
		var value yaml.Node
		if err := value.Encode(f); err != nil {
			return nil, fmt.Errorf("entry %s: %w", e.Name, err)
		}
		var key yaml.Node
		key.SetString(e.Name)
		top.Content = append(top.Content, &key, &value)
	}
	var b bytes.Buffer
	y := yaml.NewEncoder(&b)
	y.SetIndent(2)
	err := y.Encode(map[string]any{"entries": top})
	return b.Bytes(), err
}
