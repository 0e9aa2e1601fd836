package queue

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
)

func TestPlacementHome(t *testing.T) {
	payload := func(more string) string {
		return `{"class":"A","queue":"q","jid":"j","args":["eve@b.example"]` + more + `}`
	}
	wrapped := `{"class":"ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper","wrapped":"A",` +
		`"queue":"q","jid":"j","args":[{"job_class":"A","arguments":[]}]}`
	lock := func(key string) Claim {
		return Claim{Effect: Effect{Kind: "unique",
			Keys: []string{key}}}
	}
	rules := Placement{Classes: map[string]string{"A": "a"}, Queues: map[string]string{"q": "b"}}
	args := Placement{Key: func(j *Job) string { return string(j.Args) }}
	for name, c := range map[string]struct {
		p          Placement
		payload    string
		claims     []Claim
		idempotent bool
		want       home
	}{
		"is anywhere":        {Placement{}, payload(""), nil, false, home{}},
		"is that of the JID": {Placement{}, payload(""), nil, true, home{key: "j"}},
		"is that of the key": {Placement{}, payload(`,"shard_key":"k"`), nil, true,
			home{key: "k"}},
		"is that of the claim": {rules, payload(`,"shard_key":"k"`), []Claim{lock("d")},
			true, home{key: "d"}},
		"is that of two like claims": {rules, payload(""), []Claim{lock("d"), lock("d")}, true,
			home{key: "d"}},
		"is that of the class":       {rules, payload(""), nil, true, home{"A", "a"}},
		"is that of a wrapped class": {rules, wrapped, nil, false, home{"A", "a"}},
		"is that of the queue": {Placement{Queues: rules.Queues}, payload(""), nil, false,
			home{"q", "b"}},
		"is that of the key, not class": {rules, payload(`,"shard_key":"k"`), nil, false,
			home{key: "k"}},
		"is that of the function": {args, payload(""), nil, true,
			home{key: `["eve@b.example"]`}},
		"is that of the class by class": {Placement{Key: ByClass}, wrapped, nil, false,
			home{key: "A"}},
		"is the JID without a key": {Placement{Key: func(*Job) string { return "" }},
			payload(""), nil, true, home{key: "j"}},
		"is anywhere for a wrong key": {Placement{}, payload(`,"shard_key":1`), nil, false,
			home{}},
		"is anywhere for bytes": {rules, "no job", nil, false, home{}},
		"is not that of a text inside": {Placement{}, payload(`,"x":{"shard_key":"k"}`), nil,
			false, home{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.p.home(&Batch{Idempotent: c.idempotent},
				&Pushed{JID: "j", Payload: c.payload, Claims: c.claims})
			if err != nil || got != c.want {
				t.Errorf("%v %v, want %v", got, err, c.want)
			}
		})
	}
	t.Run("is refused for claims of two keys", func(t *testing.T) {
		_, err := new(Placement).home(&Batch{}, &Pushed{Claims: []Claim{lock("d"), lock("e")}})
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Field != "claims" {
			t.Error(err)
		}
	})
}

func TestPlacementFromEnv(t *testing.T) {
	read := func(vars map[string]string) (Placement, error) {
		r := &env.Reader{Lookup: func(key string) (string, bool) {
			v, ok := vars[key]
			return v,
				ok
		}}
		p := PlacementFromEnv(r, []string{"a", "b"})
		return p, r.Err()
	}
	t.Run("is in turn without variables", func(t *testing.T) {
		p, err := read(nil)
		if err != nil || p.Key != nil || len(p.Queues)+len(p.Classes) > 0 {
			t.Error(p, err)
		}
	})
	t.Run("has rules", func(t *testing.T) {
		p, err := read(map[string]string{"KYU_SHARD_QUEUES": "mailers=a, pull=b",
			"KYU_SHARD_CLASSES": "Feed::Rebuild=b", "KYU_SHARD_BY": "class"})
		got := fmt.Sprint(p.Queues, p.Classes, " ", p.Key(&Job{Class: "X"}))
		if err != nil || got != "map[mailers:a pull:b] map[Feed::Rebuild:b] X" {
			t.Error(got, err)
		}
	})
	for name, vars := range map[string]map[string]string{
		"want NAME=SHARD":         {"KYU_SHARD_QUEUES": "mailers"},
		"there is no shard \"c\"": {"KYU_SHARD_CLASSES": "A=c"},
		"has two shards":          {"KYU_SHARD_CLASSES": "A=a A=b"},
		"want turn or class":      {"KYU_SHARD_BY": "key"},
	} {
		t.Run("says "+name, func(t *testing.T) {
			if _, err := read(vars); err == nil || !strings.Contains(err.Error(), name) {
				t.Error(err)
			}
		})
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add("mailers=a pull=b")
	f.Add("x==a,,y=")
	f.Fuzz(func(t *testing.T, text string) {
		rules, _ := parseRules(text, []string{"a", "b"})
		p := Placement{Queues: rules}
		if err := p.check([]string{"a", "b"}); err != nil {
			t.Error(err)
		}
	})
}
