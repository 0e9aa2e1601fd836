package harness

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// Record is a line that the Test:: jobs of Go and of Ruby write when they run.
type Record struct {
	By    string          `json:"by"`    // go or ruby
	Event string          `json:"event"` // run, end, or an event of an iterable job
	JID   string          `json:"jid"`
	Args  json.RawMessage `json:"args"`
	Types []string        `json:"types"` // the Ruby classes of the arguments
	Attrs json.RawMessage `json:"attrs"` // current attributes
	Job   json.RawMessage `json:"job"`   // the payload that the handler's middleware gets
}

// RecordPath returns the path of the file of records.
func (s *Site) RecordPath() string { return filepath.Join(s.Dir, "record") }

// Records reads the records of an event, or all if event is empty.
func (s *Site) Records(event string) (list []Record) {
	s.Helper()
	b, err := os.ReadFile(s.RecordPath())
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasSuffix(line, "\n") {
			break // the line is being written
		}
		var r Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			s.Fatalf("record %s: %v", line, err)
		}
		if event == "" || r.Event == event {
			list = append(list, r)
		}
	}
	return list
}

// Clear empties the Redis, and removes the records and the ledger.
func (s *Site) Clear() {
	s.Helper()
	if err := s.Raw.FlushAll(s.Context()).Err(); err != nil {
		s.Fatal(err)
	}
	os.Remove(s.RecordPath())
	os.Remove(s.LedgerPath())
}
