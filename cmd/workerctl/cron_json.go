package main

import (
	"encoding/json"
	"time"
)

// entryJSON is an entry of a schedule as JSON, by field.
type entryJSON map[string]json.RawMessage

// newEntryJSON is a cron.Entry, or what has one, with its durations as texts, such as "1h30m0s".
// Its own JSON has them in nanoseconds.
func newEntryJSON(entry any) (e entryJSON, err error) {
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
		list, err := entriesJSON(conditions)
		if err != nil {
			return nil, err
		}
		e["only_if"], err = json.Marshal(list)
		return e, err
	}
	return e, nil
}

// entriesJSON are entries as JSON.
func entriesJSON[T any](list []T) ([]entryJSON, error) {
	out := []entryJSON{}
	for _, entry := range list {
		e, err := newEntryJSON(entry)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// printEntriesJSON prints entries as JSON.
func printEntriesJSON[T any](c *call, list []T) error {
	out, err := entriesJSON(list)
	if err != nil {
		return err
	}
	return c.print(out)
}
