package harness

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Record is a line that a Test:: job of Go or of Ruby writes when it runs.
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

// records are those that were read from the file, up to an offset.
type records struct {
	list   []Record
	offset int64
}

// Records reads the records of an event. An empty event stands for all.
func (s *Site) Records(event string) (list []Record) {
	s.Helper()
	s.readRecords()
	for _, r := range s.records.list {
		if event == "" || r.Event == event {
			list = append(list, r)
		}
	}
	return list
}

// readRecords reads the lines that were written since the last call.
func (s *Site) readRecords() {
	s.Helper()
	f, err := os.Open(s.RecordPath())
	if os.IsNotExist(err) {
		return
	}
	s.Must(err)
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, s.records.offset, 1<<40))
	s.Must(err)
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // its write has not ended
		}
		var r Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			s.Fatalf("record %s: %v", line, err)
		}
		s.records.list = append(s.records.list, r)
		s.records.offset += int64(len(line))
	}
}

// Clear empties the Redis and removes the records and the ledger.
func (s *Site) Clear() {
	s.Helper()
	s.Must(s.Raw.FlushAll(s.Context()).Err())
	*s.records = records{}
	os.Remove(s.RecordPath())
	os.Remove(s.LedgerPath())
}
