package interop

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// golden reads a file of what the case's version writes.
func (k *kase) golden(name string) string {
	k.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "golden", strconv.Itoa(k.v), name))
	k.Must(err)
	return strings.TrimSuffix(string(b), "\n")
}

// payload is a golden payload. Version 6 writes the payloads of 7.
func (k *kase) payload(name string) string {
	k.Helper()
	as := *k
	as.v = max(k.v, 7)
	return as.golden(name + ".json")
}

// push pushes a job as the case's version does: 6 by Ruby code, 7 and 8 by a golden payload. It
// returns the bytes in the queue.
func (k *kase) push(ruby, golden string) string {
	k.Helper()
	if k.real {
		k.ruby.Do(nil, ruby+"; nil")
		name := k.Raw.SRandMember(k.Context(), "queues").Val()
		return k.Raw.LIndex(k.Context(), "queue:"+name, 0).Val()
	}
	return k.enqueue(k.golden(golden + ".json"))
}

// dumped is a key in a golden file of keys.
type dumped struct {
	Key   string          `json:"key"`
	Type  string          `json:"type"`
	TTL   int             `json:"ttl,omitempty"` // in seconds; 0: the key does not expire
	Value json.RawMessage `json:"value"`
}

// load puts a golden file of keys into Redis.
func (k *kase) load(name string) {
	k.Helper()
	var list []dumped
	k.Must(json.Unmarshal([]byte(k.golden(name)), &list))
	for _, d := range list {
		k.restore(d)
		if d.TTL > 0 {
			k.Raw.Expire(k.Context(), d.Key, time.Duration(d.TTL)*time.Second)
		}
	}
}

func (k *kase) restore(d dumped) {
	k.Helper()
	switch d.Type {
	case "hash":
		var fields map[string]string
		k.Must(json.Unmarshal(d.Value, &fields))
		k.Must(k.Raw.HSet(k.Context(), d.Key, fields).Err())
	case "set":
		var members []any
		k.Must(json.Unmarshal(d.Value, &members))
		k.Must(k.Raw.SAdd(k.Context(), d.Key, members...).Err())
	case "bits":
		var text string
		k.Must(json.Unmarshal(d.Value, &text))
		b, err := hex.DecodeString(text)
		k.Must(err)
		k.Must(k.Raw.Set(k.Context(), d.Key, b, 0).Err())
	default:
		k.Fatalf("%s: unknown type %s", d.Key, d.Type)
	}
}
