package queue

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Placement says in which of several shards a pushed job is placed. The zero value places each
// slice of a push in the next shard, in turn. A job has a fixed place, and is placed in no other
// shard, if one of these decides; the first one that does counts:
//
//  1. a claim, such as a lock: all jobs that make the same claim are in one shard
//  2. Options.ShardKey: all jobs with the same key are in one shard
//  3. Classes, then Queues: a shard by its name
//  4. Key: all jobs with the same key are in one shard
//  5. Options.Idempotent: all pushes of a JID go to one shard
//
// While the shard that Classes or Queues names is draining, all jobs of that class or queue are in
// one of the other shards.
type Placement struct {
	Queues  map[string]string // by queue: the name of the shard
	Classes map[string]string // by class, also one that ActiveJob has wrapped
	// Key returns the key of a job, or "" if the next rule decides. It is called by several
	// goroutines at once, and depends on nothing but the job. ByClass is one such function.
	Key func(j *Job) string

	Logger *slog.Logger // says when a shard gets no pushes for a while; slog.Default() if nil
}

// ByClass is a Placement.Key: all jobs of a class are in one shard.
func ByClass(j *Job) string {
	class, _ := j.Unwrapped()
	return class
}

// shardKeyField is the field of a payload with Options.ShardKey.
const shardKeyField = "shard_key"

// maxShardKey is the most bytes of Options.ShardKey.
const maxShardKey = 255

// PlacementFromEnv returns the Placement of the environment's variables, for shards with the given
// names, none if there is one without a name: KYU_SHARD_QUEUES and KYU_SHARD_CLASSES, such as
// "mailers=a pull=b", and KYU_SHARD_BY, which is turn (the default) or class. It adds problems to
// r. It is for package cli; other programs use PlacementFromEnvironment.
func PlacementFromEnv(r *env.Reader, shards []string) (p Placement) {
	p.Queues = rulesFromEnv(r, "KYU_SHARD_QUEUES", shards)
	p.Classes = rulesFromEnv(r, "KYU_SHARD_CLASSES", shards)
	switch by, source := r.Get("KYU_SHARD_BY"); {
	case source == "" || by == "turn":
	case by == "class":
		p.Key = ByClass
		r.Note("shard by", by, source)
	default:
		r.Problem("KYU_SHARD_BY=%q: want turn or class", by)
	}
	return p
}

// PlacementFromEnvironment returns the Placement of the process's environment variables, by the
// rules of PlacementFromEnv. The error has all problems, one in each line.
func PlacementFromEnvironment(shards []string) (Placement, error) {
	r := new(env.Reader)
	p := PlacementFromEnv(r, shards)
	return p, r.Err()
}

// rulesFromEnv reads a variable with the names of shards by class or queue.
func rulesFromEnv(r *env.Reader, variable string, shards []string) map[string]string {
	text, source := r.Get(variable)
	if source == "" {
		return nil
	}
	rules, problems := parseRules(text, shards)
	for _, problem := range problems {
		r.Problem("%s: %s", variable, problem)
	}
	r.Note(strings.ToLower(strings.ReplaceAll(variable[len("KYU_"):], "_", " ")), text, source)
	return rules
}

// parseRules parses pairs such as "mailers=a pull=b".
func parseRules(text string, shards []string) (rules map[string]string, problems []string) {
	rules = map[string]string{}
	between := func(c rune) bool { return c == ' ' || c == ',' }
	for _, pair := range strings.FieldsFunc(text, between) {
		name, shard, _ := strings.Cut(pair, "=")
		_, twice := rules[name]
		switch {
		case !envelope.ValidName(name) || shard == "":
			problems = append(problems, fmt.Sprintf("%q: want NAME=SHARD, such as mailers=a", pair))
		case twice:
			problems = append(problems, fmt.Sprintf("%s has two shards: want one", name))
		case len(shards) == 0:
			problems = append(problems, fmt.Sprintf("%q: there is one Redis: set KYU_SHARDS", pair))
		case !slices.Contains(shards, shard):
			problems = append(problems, fmt.Sprintf("%s: there is no shard %q: want one of %s",
				pair, shard, strings.Join(shards, ", ")))
		default:
			rules[name] = shard
		}
	}
	return rules, problems
}

// check returns an error if a rule names a shard that is not among those with these names.
func (p *Placement) check(shards []string) error {
	for _, rules := range []map[string]string{p.Classes, p.Queues} {
		for _, name := range sortedKeys(rules) {
			if !slices.Contains(shards, rules[name]) {
				return fmt.Errorf("placement: %s=%s: there is no such shard: want one of %s", name,
					rules[name], strings.Join(shards, ", "))
			}
		}
	}
	return nil
}

// home is the place in which a job belongs. The zero value is any shard.
type home struct {
	key   string // jobs with equal keys share a shard
	shard string // by its name, unless it is draining: then key decides
}

// home returns where a job belongs. The error says that its claims belong in different shards.
func (p *Placement) home(b *Batch, j *Pushed) (home, error) {
	if len(j.Claims) > 0 {
		return homeOfClaims(j.Claims)
	}
	if h := p.homeOfPayload(j.Payload); h.key != "" {
		return h, nil
	}
	if b.Idempotent {
		return home{key: j.JID}, nil
	}
	return home{}, nil
}

// homeOfPayload returns where a job belongs that the payload says, by its key or by a rule.
func (p *Placement) homeOfPayload(payload string) home {
	rules := len(p.Classes) > 0 || len(p.Queues) > 0 || p.Key != nil
	if !rules && !strings.Contains(payload, `"`+shardKeyField+`"`) {
		return home{} // most pushes: nothing is parsed
	}
	j, err := envelope.ParseJob(payload)
	if err != nil {
		return home{} // a worker moves it to the dead set
	}
	if key := j.String(shardKeyField); key != "" {
		return home{key: key}
	}
	class, _ := j.Unwrapped()
	for _, name := range []string{class, j.Class} {
		if shard, ruled := p.Classes[name]; ruled {
			return home{key: name, shard: shard}
		}
	}
	if shard, ruled := p.Queues[j.Queue]; ruled {
		return home{key: j.Queue, shard: shard}
	}
	if p.Key != nil {
		return home{key: p.Key(j)}
	}
	return home{}
}

// homeOfClaims returns where a job belongs: with the first key of its claim, which is the digest of
// a lock. A lock in two shards would be two locks, so claims with different keys are refused.
func homeOfClaims(claims []Claim) (h home, err error) {
	for i := range claims {
		key := claims[i].Kind
		if len(claims[i].Keys) > 0 {
			key = claims[i].Keys[0]
		}
		if i > 0 && key != h.key {
			return home{}, &InvalidError{"claims", fmt.Sprintf("the claims %s and %s may belong "+
				"in different shards: with several shards, a job can make only claims of one key",
				h.key, key)}
		}
		h.key = key
	}
	return h, nil
}
