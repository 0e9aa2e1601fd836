package unique_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is a file of testdata/golden: what a version of sidekiq-unique-jobs leaves in Redis for a
// kind of lock.
type golden struct {
	Gem, Lock string
	Cases     []goldenCase
}

// goldenCase is a job whose lock has a limit and a time.
type goldenCase struct {
	Limit   int
	TTL     *int64
	Info    bool `json:"lock_info"`
	Job     json.RawMessage
	Moments []goldenMoment
}

// goldenMoment is what is in Redis at a moment of the job's life.
type goldenMoment struct {
	Moment string
	Job    json.RawMessage // if it differs from that of the case
	Keys   []goldenKey
}

type goldenKey struct {
	Key, Type string
	Value     json.RawMessage
	PTTL      int64 // milliseconds; 0: never
}

// goldens reads all files.
func goldens(t *testing.T) (list []golden) {
	t.Helper()
	paths, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(paths) != 30 { // five versions, six kinds
		t.Fatal(len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var g golden
		if err := json.Unmarshal(text, &g); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list = append(list, g)
	}
	return list
}

func (c *goldenCase) name() string {
	name := fmt.Sprint("limit ", c.Limit)
	if c.TTL != nil {
		name += fmt.Sprint(", ttl ", *c.TTL)
	}
	if c.Info {
		name += ", with info"
	}
	return name
}

func (c *goldenCase) at(moment string) *goldenMoment {
	i := slices.IndexFunc(c.Moments, func(m goldenMoment) bool { return m.Moment == moment })
	return &c.Moments[i]
}

// payload returns the job's payload at the moment.
func (m *goldenMoment) payload(c *goldenCase) json.RawMessage {
	if m.Job != nil {
		return m.Job
	}
	return c.Job
}

// key returns a key of the moment, or nil.
func (m *goldenMoment) key(name string) *goldenKey {
	i := slices.IndexFunc(m.Keys, func(k goldenKey) bool { return k.Key == name })
	if i < 0 {
		return nil
	}
	return &m.Keys[i]
}

// object returns the fields of a hash, or the members of a sorted set with their scores.
func (k *goldenKey) object() map[string]string {
	fields := map[string]string{}
	if k != nil && json.Unmarshal(k.Value, &fields) != nil {
		panic("no object: " + string(k.Value))
	}
	return fields
}

// holders returns who holds the lock and, with ":RUN", the runtime lock, sorted.
func (m *goldenMoment) holders() string {
	var held []string
	for _, suffix := range []string{"", ":RUN"} {
		for jid := range m.key("<digest>" + suffix + ":LOCKED").object() {
			held = append(held, jid+suffix)
		}
	}
	slices.Sort(held)
	return strings.Join(held, " ")
}
