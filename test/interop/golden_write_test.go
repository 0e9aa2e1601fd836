package interop

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// writer is Ruby code that writes the golden data with a fixed clock.
//
//go:embed golden.rb
var writer string

// TestGolden compares the golden data of 7 and 8 with what the running Sidekiq writes. With
// -update it writes the files.
func TestGolden(t *testing.T) {
	if !slices.Contains(later, major) {
		t.Skip("golden data are those of Sidekiq 7 and 8: make interop-new")
	}
	k := newKase(t)
	k.ruby.Do(nil, writer+"\nnil")
	var jobs map[string]string
	k.ruby.Do(&jobs, `jobs`)
	for name, raw := range jobs {
		k.keep(name+".json", raw+"\n")
	}
	k.ruby.Do(nil, `redis("FLUSHDB"); metrics; nil`)
	k.keep("metrics.dump", k.dump("*"))
	k.ruby.Do(nil, `redis("FLUSHDB")
		iteration("iter1", { executions: 2, cursor: [1, "é"], runtime: 7.25 })
		iteration("iter2", {}, cancelled: true)
		iteration("iter3", { executions: 1, cursor: 42, runtime: 0.5 }, cancelled: true); nil`)
	k.keep("iteration.dump", k.dump("*"))
	k.Clear()
	k.enqueue(jobs["slow"])
	k.Sidekiq("-q", "default", "-q", "push", "-c", "3", "-g", "mastodon")
	k.Until(20*time.Second, "the record shows the job", func() bool {
		return k.Raw.HGet(k.Context(), k.registered(), "busy").Val() == "1"
	})
	id := k.registered()
	k.keep("process.dump", fixed(k.dump("processes", id, id+":work"), id))
}

// keep compares a golden file of the case's version with got, or writes it with -update.
func (k *kase) keep(name, got string) {
	k.Helper()
	path := filepath.Join("testdata", "golden", strconv.Itoa(k.v), name)
	if *update {
		k.Must(os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	k.Must(err)
	if string(want) != got {
		k.Errorf("%s is not what Sidekiq writes (-update writes it):\n%s\nwant\n%s", path, got,
			want)
	}
}

// dump is the text of a golden file of the keys that match the patterns.
func (k *kase) dump(patterns ...string) string {
	k.Helper()
	keys := map[string]bool{}
	for _, pattern := range patterns {
		for _, key := range k.Raw.Keys(k.Context(), pattern).Val() {
			keys[key] = true
		}
	}
	var list []dumped
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		list = append(list, k.dumpKey(key))
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	k.Must(e.Encode(list))
	return b.String()
}

// dumpKey reads a key. Its time to live is that at its last write: a number of full minutes.
func (k *kase) dumpKey(key string) dumped {
	k.Helper()
	d := dumped{Key: key, Type: k.Raw.Type(k.Context(), key).Val()}
	if ttl := k.Raw.TTL(k.Context(), key).Val(); ttl > 0 {
		d.TTL = int((ttl + time.Minute - 1).Truncate(time.Minute).Seconds())
	}
	var value any
	switch d.Type {
	case "hash":
		value = k.Raw.HGetAll(k.Context(), key).Val()
	case "set":
		value = k.Raw.SMembers(k.Context(), key).Val()
	default:
		d.Type = "bits"
		value = hex.EncodeToString([]byte(k.Raw.Get(k.Context(), key).Val()))
	}
	var err error
	d.Value, err = json.Marshal(value)
	k.Must(err)
	return d
}

// varying are the parts of a process's record that differ in each run, and what golden data have
// in their places.
var varying = []struct {
	part *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`\\"hostname\\":\\"[^"]*"`), `\"hostname\":\"app-1\"`},
	{regexp.MustCompile(`\\"started_at\\":[\d.]+`), `\"started_at\":1795345700.5`},
	{regexp.MustCompile(`\\"pid\\":\d+`), `\"pid\":4711`},
	{regexp.MustCompile(`\\"run_at\\":\d+`), `\"run_at\":1795345750`},
	{regexp.MustCompile(`"beat": "[^"]+"`), `"beat": "1795345760.123"`},
	{regexp.MustCompile(`"rss": "[^"]+"`), `"rss": "98304"`},
	{regexp.MustCompile(`"rtt_us": "[^"]+"`), `"rtt_us": "120"`},
	{regexp.MustCompile(`"\w+": "\{\\"queue`), `"2af8": "{\"queue`},
}

// fixed replaces the varying parts of the record of a process.
func fixed(dump, id string) string {
	dump = strings.ReplaceAll(dump, id, "app-1:4711:0123456789ab")
	for _, v := range varying {
		dump = v.part.ReplaceAllLiteralString(dump, v.text)
	}
	return dump
}
