package cron

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Schedule is a set of entries under a name. Programs with different entries in one Redis give
// their schedules different names. Of two versions with one name, the one that was deployed last
// counts, and the processes of the other push nothing.
type Schedule struct {
	Name    string // "default" if empty
	Entries []Entry
	// ListenedQueuesOnly leaves each entry to the processes that serve its queue.
	ListenedQueuesOnly bool
	Notes              []string // what was understood differently from what is written, for the log
}

// maxEntries is the most entries of a schedule.
const maxEntries = 10_000

// Check returns an error with all problems of all entries.
func (s *Schedule) Check() error {
	var problems []error
	if s.Name != "" {
		if err := checkName(s.Name); err != nil {
			problems = append(problems, fmt.Errorf("schedule: %w", err))
		}
	}
	if len(s.Entries) > maxEntries {
		problems = append(problems, fmt.Errorf("%d entries: want at most %d", len(s.Entries),
			maxEntries))
	}
	seen := map[string]bool{}
	for i := range s.Entries {
		e := &s.Entries[i]
		if seen[e.Name] {
			problems = append(problems, fmt.Errorf("entry %s: two entries have this name", e.Name))
		}
		seen[e.Name] = true
		for _, err := range flatten(e.Check()) {
			problems = append(problems, fmt.Errorf("entry %s: %w", e.Name, err))
		}
	}
	return errors.Join(problems...)
}

// flatten returns the errors that are joined in err.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, flatten(e)...)
	}
	return list
}

func (s *Schedule) name() string {
	if s.Name == "" {
		return "default"
	}
	return s.Name
}

// digest names the version of the schedule. The order of the entries does not matter.
func (s *Schedule) digest() string {
	var revs []string
	for i := range s.Entries {
		revs = append(revs, s.Entries[i].Name+" "+s.Entries[i].rev())
	}
	slices.Sort(revs)
	return digest(revs...)
}

// names returns the names of the entries as a JSON array.
func (s *Schedule) names() string {
	names := make([]string, len(s.Entries))
	for i := range s.Entries {
		names[i] = s.Entries[i].Name
	}
	slices.Sort(names)
	b, _ := json.Marshal(names) // strings always encode
	return string(b)
}
