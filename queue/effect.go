package queue

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/internal/redisdb"
)

// Effect is a change in Redis that is made in the same call as the removal of a job, if and only if
// the job is removed there. It releases, for example, a lock of the job.
type Effect struct {
	Kind string   // of the capability whose Lua carries it out
	Keys []string // all keys that it uses, without the namespace, which the Store adds
	Args []string
}

// EffectEvent says why a job is removed from where it is.
type EffectEvent string

const (
	EventDone    EffectEvent = "done"    // it has run
	EventRetry   EffectEvent = "retry"   // it failed, and goes to the retry set
	EventSnooze  EffectEvent = "snooze"  // its handler puts it off
	EventRequeue EffectEvent = "requeue" // a thread had it, and it goes back to its queue unchanged
	EventForward EffectEvent = "forward" // it goes to the back of a queue
	EventHold    EffectEvent = "hold"    // no handler has its class, and it is held
	EventDead    EffectEvent = "dead"    // it failed or was killed by hand: to the dead set
	EventDiscard EffectEvent = "discard" // it failed, and is not kept
	EventExpire  EffectEvent = "expire"  // it is too late to run it
	EventReclaim EffectEvent = "reclaim" // its owner died, and it goes back to its queue
	EventPoison  EffectEvent = "poison"  // its owner died, and it goes to the dead set
	EventDelete  EffectEvent = "delete"  // it was deleted by hand, or its queue or set was cleared
)

// Capability adds effects to the removal of jobs, and claims to pushes and starts. A program passes
// it in Config.Capabilities. When a job is removed, the Store asks each capability for the effects
// of the job.
type Capability struct {
	// Kind is the name of its effects and claims: a letter a-z, then up to 31 of a-z, 0-9 and _.
	Kind string
	// Lua is the body of function(keys, args), which carries out an effect. It must not assume
	// the types of keys. It must be short, because Redis does nothing else meanwhile. If it raises
	// an error, the job is removed nevertheless, and the changes before the error stay. It may be
	// empty if Effects is nil.
	Lua string
	// Claim is the body of function(keys, args, jid, payload), which makes a claim (see Claim) for
	// the job with that JID and payload. It returns nil if the claim is granted, else a string
	// that says why it is refused. The rules of Lua hold for it too. It may run twice for one job,
	// because a call whose reply was lost is repeated. It may be empty.
	Claim string
	// Effects returns the effects of the removal of j. It must be quick. It must return the same
	// effects each time, because a call whose reply was lost is repeated.
	Effects func(j *Job, event EffectEvent) []Effect
	// Fields are fields of a payload. Effects is asked only about jobs that have one of them: most
	// jobs have none, and cost a few nanoseconds. If it is empty, Effects is asked about all jobs.
	Fields []string
	// Moves says what goes along with jobs that move to another shard. nil: nothing does.
	Moves *Moves
	// Source is set if the capability keeps jobs of queues. One capability at most has it.
	Source *Source
}

// MaxEffectItems is the most jobs with effects in one call, because a script blocks Redis while it
// runs.
const MaxEffectItems = 64

// The limits of effects.
const (
	maxEffects     = 8    // effects of one job
	maxEffectWords = 32   // keys and arguments of one effect
	maxEffectBytes = 4096 // bytes of its keys and arguments together
)

var validKind = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// capabilities are the capabilities of a Store, sorted by kind. nil means no capabilities.
type capabilities struct{ list []Capability }

// newCapabilities checks and sorts capabilities. Every order of list gives the same script: a
// script's name is its hash.
func newCapabilities(list []Capability) (*capabilities, error) {
	if len(list) == 0 {
		return nil, nil
	}
	c := &capabilities{slices.Clone(list)}
	slices.SortFunc(c.list, func(a, b Capability) int { return strings.Compare(a.Kind, b.Kind) })
	var problems []error
	for i, x := range c.list {
		switch {
		case !validKind.MatchString(x.Kind):
			problems = append(problems,
				fmt.Errorf("capability %q: want a letter a-z, then up to 31 of a-z 0-9 _", x.Kind))
		case i > 0 && c.list[i-1].Kind == x.Kind:
			problems = append(problems, fmt.Errorf("two capabilities have the kind %s", x.Kind))
		case x.Source != nil && !x.hasEffects():
			problems = append(problems, fmt.Errorf("capability %s: a Source needs Lua", x.Kind))
		case !x.hasEffects() && (x.Effects != nil || !x.hasClaims()):
			problems = append(problems, fmt.Errorf("capability %s has no Lua", x.Kind))
		}
	}
	if len(c.sources()) > 1 {
		problems = append(problems, fmt.Errorf("two capabilities have a Source: %s",
			strings.Join(c.sources(), ", ")))
	}
	return c, errors.Join(problems...)
}

// sources returns the kinds of the capabilities that are sources.
func (c *capabilities) sources() (kinds []string) {
	for _, x := range c.list {
		if x.Source != nil {
			kinds = append(kinds, x.Kind)
		}
	}
	return kinds
}

func (c *capabilities) hasSource() bool { return len(c.sources()) > 0 }

// effects returns the effects that all capabilities have for a job. The error names each capability
// whose list is wrong. The effects of the other capabilities are returned with the error.
func (c *capabilities) effects(j *Job, event EffectEvent) (all []Effect, err error) {
	if c == nil || j == nil {
		return nil, nil
	}
	var problems []error
	for i := range c.list {
		x := &c.list[i]
		if x.Effects == nil || !x.concerns(j) {
			continue
		}
		list, problem := x.effects(j, event)
		if problem == nil {
			problem = c.check(list, Capability.hasEffects)
		}
		if problem == nil && len(all)+len(list) > maxEffects {
			problem = fmt.Errorf("%d effects, more than %d for one job",
				len(all)+len(list), maxEffects)
		}
		if problem != nil {
			problem = fmt.Errorf("capability %s, %s of job %s: %w", x.Kind, event, j.JID, problem)
			problems = append(problems, problem)
			continue
		}
		all = append(all, list...)
	}
	return all, errors.Join(problems...)
}

// concerns reports whether x is asked for the effects of a job.
func (x *Capability) concerns(j *Job) bool {
	for _, name := range x.Fields {
		if j.Field(name) != "" {
			return true
		}
	}
	return len(x.Fields) == 0
}

// effects calls x.Effects. A panic there is an error, so the process goes on.
func (x *Capability) effects(j *Job, event EffectEvent) (list []Effect, err error) {
	defer func() {
		if v := recover(); v != nil {
			list, err = nil, fmt.Errorf("Effects panicked: %v", v)
		}
	}()
	return x.Effects(j, event), nil
}

func (x Capability) hasEffects() bool { return strings.TrimSpace(x.Lua) != "" }
func (x Capability) hasClaims() bool  { return strings.TrimSpace(x.Claim) != "" }

// check returns an error if effects of a list are over the limits or of no kind that can carry
// them out.
func (c *capabilities) check(list []Effect, can func(Capability) bool) error {
	for _, e := range list {
		known := func(x Capability) bool { return x.Kind == e.Kind && can(x) }
		switch {
		case c == nil || !slices.ContainsFunc(c.list, known):
			return fmt.Errorf("the effect %q is not known: no capability here has that kind",
				e.Kind)
		case slices.Contains(e.Keys, ""):
			return fmt.Errorf("the effect %s has an empty key", e.Kind)
		case len(e.Keys)+len(e.Args) > maxEffectWords:
			return fmt.Errorf("the effect %s has %d keys and arguments, more than %d", e.Kind,
				len(e.Keys)+len(e.Args), maxEffectWords)
		case e.size() > maxEffectBytes:
			return fmt.Errorf("the effect %s has %d bytes, more than %d", e.Kind, e.size(),
				maxEffectBytes)
		}
	}
	return nil
}

// size returns the bytes of the keys and arguments.
func (e *Effect) size() (n int) {
	for _, k := range e.Keys {
		n += len(k)
	}
	for _, a := range e.Args {
		n += len(a)
	}
	return n
}

// The parts of a copy of a script that carries out effects or makes claims.
var (
	//go:embed lua/parts/items.lua
	itemsLua string
	//go:embed lua/parts/effects.lua
	effectsLua string
	//go:embed lua/parts/claims.lua
	claimsLua string
)

const (
	// kindsHere marks the line of itemsLua that the functions of the kinds replace.
	kindsHere = "-- (kinds)\n"
	// effectsHere marks the line of a script that carries out effects. There result[#result] is
	// the code of an item.
	effectsHere = "-- (effects)\n"
	// claimsHere marks the line of a script at which it gets the functions refused and report.
	claimsHere = "-- (claims)\n"
)

// assemble returns a copy of the script base that carries out effects. base marks the place where
// an item's code is in result, and where the script has written everything for the item.
func assemble(base string, caps []Capability) string {
	shebang, body := cut(base, effectsHere)
	var kinds strings.Builder
	for _, c := range caps {
		if c.hasEffects() {
			fmt.Fprintf(&kinds, "kinds['%s'] = function(keys, args)\n%s\nend\n", c.Kind, c.Lua)
		}
	}
	return shebang + strings.Replace(itemsLua, kindsHere, kinds.String(), 1) + effectsLua +
		strings.Replace(body, effectsHere, "result[#result] = run_effects(result[#result])\n", 1)
}

// assembleClaims returns a copy of the script base that makes claims. base marks the place at which
// it gets the functions of claimsLua.
func assembleClaims(base string, caps []Capability) string {
	shebang, body := cut(base, claimsHere)
	var kinds strings.Builder
	for _, c := range caps {
		if c.hasClaims() {
			fmt.Fprintf(&kinds, "kinds['%s'] = function(keys, args, jid, payload)\n%s\nend\n",
				c.Kind, c.Claim)
		}
	}
	items := strings.Replace(itemsLua, kindsHere, kinds.String(), 1)
	return shebang + items + strings.Replace(body, claimsHere, claimsLua, 1)
}

// cut returns the #!lua line of a script, and the rest, which has one line mark.
func cut(base, mark string) (shebang, body string) {
	shebang, body, _ = strings.Cut(base, "\n")
	if strings.Count(body, mark) != 1 || !strings.HasPrefix(shebang, "#!lua") {
		panic("a script to copy must have a #!lua line and one line " + mark)
	}
	return shebang + "\n", body
}

// script returns a copy of a script that carries out the effects of these capabilities.
func (c *capabilities) script(base string) *redisdb.Script {
	return redisdb.NewScript(assemble(base, c.list))
}

// claiming returns a copy of a script that makes the claims of these capabilities.
func (c *capabilities) claiming(base string) *redisdb.Script {
	return redisdb.NewScript(assembleClaims(base, c.list))
}

// appendEffects appends effects to the keys and arguments of a call. items has the effects of each
// item of the call, in order.
func appendEffects(ks redisdb.Keyspace, keys []string, args []any,
	items [][]Effect) ([]string, []any) {
	ownKeys, ownArgs := len(keys), len(args)
	for i, list := range items {
		for _, e := range list {
			for _, k := range e.Keys {
				keys = append(keys, ks.Key(k))
			}
			args = append(args, i+1, e.Kind, len(e.Keys), len(e.Args))
			for _, a := range e.Args {
				args = append(args, a)
			}
		}
	}
	return keys, append(args, ownKeys, ownArgs)
}

// effectResult decodes the result of an item: its code, and the effects that failed, with the
// reasons.
func effectResult(v any) (code int64, failed string, err error) {
	switch v := v.(type) {
	case int64:
		return v, "", nil
	case string:
		number, failed, _ := strings.Cut(v, " ")
		code, err = strconv.ParseInt(number, 10, 64)
		return code, failed, err
	default:
		return 0, "", fmt.Errorf("a result is a %T, not a number or a string", v)
	}
}
