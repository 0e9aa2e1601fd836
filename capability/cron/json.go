package cron

import (
	"encoding/json"
	"time"
)

// EntryJSON is an entry of a schedule as JSON for people and their programs, by field.
type EntryJSON map[string]json.RawMessage

// NewEntryJSON is an Entry, or what has one, such as a Status, with its durations as texts, such as
// "1h30m0s". Its own JSON, which is in Redis, has them in nanoseconds.
func NewEntryJSON(entry any) (e EntryJSON, err error) {
	b, err := json.Marshal(entry)
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err != nil {
		return nil, err
	}
	for _, field := range []string{"every", "overlap_for", "latency_below"} {
		var d time.Duration
		if json.Unmarshal(e[field], &d) == nil {
			e[field], _ = json.Marshal(d.String()) // a text always encodes
		}
	}
	var conditions []json.RawMessage
	if json.Unmarshal(e["only_if"], &conditions) == nil {
		list, err := EntriesJSON(conditions)
		if err != nil {
			return nil, err
		}
		e["only_if"], err = json.Marshal(list)
		return e, err
	}
	return e, nil
}

// EntriesJSON are entries, or what has them, as JSON.
func EntriesJSON[T any](list []T) ([]EntryJSON, error) {
	out := []EntryJSON{}
	for _, entry := range list {
		e, err := NewEntryJSON(entry)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}
