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

// Effect is a change that Redis makes together with the removal of a job, if and
// only if that removal succeeds: the release of what the job holds beside itself.
type Effect struct {
	Kind string   // whose Lua carries it out
	Keys []string // every key that it touches
	Args []string
}

// EffectEvent is how a job leaves its owner's hands, or the system.
type EffectEvent string

const (
	EventDone    EffectEvent = "done"    // it has run
	EventRetry   EffectEvent = "retry"   // it failed, and waits for its next attempt
	EventSnooze  EffectEvent = "snooze"  // its handler puts it off
	EventRequeue EffectEvent = "requeue" // back to its queue, unchanged, after a thread had it
	EventForward EffectEvent = "forward" // to the end of a queue
	EventHold    EffectEvent = "hold"    // its class is not known here: put aside
	EventDead    EffectEvent = "dead"    // to the dead set: it failed, or a person killed it
	EventDiscard EffectEvent = "discard" // it failed, and is not kept
	EventExpire  EffectEvent = "expire"  // too late to be run
	EventReclaim EffectEvent = "reclaim" // out of a dead owner's hands, back to its queue
	EventPoison  EffectEvent = "poison"  // out of a dead owner's hands, to the dead set
	EventDelete  EffectEvent = "delete"  // a person deleted it, or cleared where it was
)

// Capability is what a package adds to the life of jobs. The core knows none by
// name: it asks each for the effects of a job, and has Redis run them.
type Capability struct {
	// Kind names its effects: a letter, then letters, digits and underscores.
	Kind string
	// Lua is the body of function(keys, args). It must not assume the type of a key, and must
	// be short: Redis serves nobody else meanwhile.
	// If it raises an error, the job is settled all the same, and what the body
	// did until then stays done.
	Lua string
	// Effects gives what is to be done when j leaves. It must be quick, and give the
	// same whenever it is asked: a call whose reply was lost is repeated.
	Effects func(j *Job, event EffectEvent) []Effect
}

// MaxEffectItems bounds the jobs with effects in one call: a script blocks Redis for as long
// as it runs.
const MaxEffectItems = 64

// Limits of effects.
const (
	maxEffects     = 8    // of one job
	maxEffectWords = 32   // keys and arguments of one effect
	maxEffectBytes = 4096 // of its keys and arguments together
)

var validKind = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// capabilities are those of a Store, by kind. The nil capabilities are none.
type capabilities struct{ list []Capability }

// newCapabilities checks them. Their order is no matter: it must not change the
// script, whose hash is its name.
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
			problems = append(problems, fmt.Errorf("capability %s is there twice", x.Kind))
		case strings.TrimSpace(x.Lua) == "":
			problems = append(problems, fmt.Errorf("capability %s has no Lua", x.Kind))
		}
	}
	return c, errors.Join(problems...)
}

// effects are those of a job, of all capabilities. The error names the capability
// whose list is wrong; the lists of the others are given with it.
func (c *capabilities) effects(j *Job, event EffectEvent) (all []Effect, err error) {
	if c == nil || j == nil {
		return nil, nil
	}
	var problems []error
	for _, x := range c.list {
		if x.Effects == nil {
			continue
		}
		list, problem := x.ask(j, event)
		if problem == nil {
			problem = c.check(list)
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

// ask calls the function of the package. Its panic costs the effects, and not the process.
func (x *Capability) ask(j *Job, event EffectEvent) (list []Effect, err error) {
	defer func() {
		if v := recover(); v != nil {
			list, err = nil, fmt.Errorf("Effects panicked: %v", v)
		}
	}()
	return x.Effects(j, event), nil
}

// check says what is wrong with a list.
func (c *capabilities) check(list []Effect) error {
	for _, e := range list {
		known := func(x Capability) bool { return x.Kind == e.Kind }
		switch {
		case !slices.ContainsFunc(c.list, known):
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

// size is how many bytes an effect adds to a call, more or less.
func (e *Effect) size() (n int) {
	for _, k := range e.Keys {
		n += len(k)
	}
	for _, a := range e.Args {
		n += len(a)
	}
	return n
}

//go:embed lua/parts/effects.lua
var effectsLua string

const (
	kindsHere   = "-- (kinds)\n"   // in effectsLua: where the functions of the kinds go
	effectsHere = "-- (effects)\n" // in a script: right after result[#result] was set for an item
)

// assemble makes a script that runs effects out of one that does not, which has
// marked the place where an item's code is in result, and all that it writes for the
// item is written.
func assemble(base string, caps []Capability) string {
	shebang, body, _ := strings.Cut(base, "\n")
	if strings.Count(body, effectsHere) != 1 || !strings.HasPrefix(shebang, "#!lua") {
		panic("a script for effects must have a #!lua line and one line " + effectsHere)
	}
	var kinds strings.Builder
	for _, c := range caps {
		fmt.Fprintf(&kinds, "effects['%s'] = function(keys, args)\n%s\nend\n", c.Kind, c.Lua)
	}
	return shebang + "\n" + strings.Replace(effectsLua, kindsHere, kinds.String(), 1) +
		strings.Replace(body, effectsHere, "result[#result] = run_effects(result[#result])\n", 1)
}

// script is a script with the effects of these capabilities.
func (c *capabilities) script(base string) *redisdb.Script {
	return redisdb.NewScript(assemble(base, c.list))
}

// appendEffects completes a call of a script with effects: items has those of its
// items, in order.
func appendEffects(keys []string, args []any, items [][]Effect) ([]string, []any) {
	ownKeys, ownArgs := len(keys), len(args)
	for i, list := range items {
		for _, e := range list {
			keys = append(keys, e.Keys...)
			args = append(args, i+1, e.Kind, len(e.Keys), len(e.Args))
			for _, a := range e.Args {
				args = append(args, a)
			}
		}
	}
	return keys, append(args, ownKeys, ownArgs)
}

// effectResult reads an item of a result: its code and, if effects of it failed,
// which and why.
func effectResult(v any) (code int64, failed string, err error) {
	switch v := v.(type) {
	case int64:
		return v, "", nil
	case string:
		number, failed, _ := strings.Cut(v, " ")
		code, err = strconv.ParseInt(number, 10, 64)
		return code, failed, err
	default:
		return 0, "", fmt.Errorf("a result is %T, not a number or a text", v)
	}
}
