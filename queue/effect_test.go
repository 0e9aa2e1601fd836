package queue

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue/envelope"
)

const markedLua = `#!lua flags=allow-oom
local result = {}
result[1] = 1
  -- (effects)
return result
`

func effectsOf(list ...Effect) func(*Job, EffectEvent) []Effect {
	return func(*Job, EffectEvent) []Effect { return list }
}

func TestCapability(t *testing.T) {
	t.Run("none costs nothing", func(t *testing.T) {
		c, err := newCapabilities(nil)
		if c != nil || err != nil {
			t.Error(c, err)
		}
		if list, err := c.effects(mustJob(t), EventDone); list != nil || err != nil {
			t.Error(list, err)
		}
	})
	t.Run("all that is wrong is said at once", func(t *testing.T) {
		_, err := newCapabilities([]Capability{{Kind: "Lock", Lua: "return"}, {Kind: "a", Lua: " "},
			{Kind: "b", Lua: "return"}, {Kind: "b", Lua: "return"}, {Kind: "x'] = 1",
				Lua: "return"}})
		for _, part := range []string{`"Lock"`, "a has no Lua", "b is there twice", `"x'] = 1"`} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("no %s in: %v", part, err)
			}
		}
	})
	t.Run("their order does not change the script", func(t *testing.T) {
		a, b := Capability{Kind: "a", Lua: "return 1"}, Capability{Kind: "b", Lua: "return 2"}
		x := ScriptWithEffects(markedLua, []Capability{a, b})
		y := ScriptWithEffects(markedLua, []Capability{b, a})
		if x != y {
			t.Error(x, y)
		}
	})
}

func mustJob(t *testing.T) *Job {
	t.Helper()
	j, err := envelope.ParseJob(`{"class":"A","jid":"x","args":[]}`)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestEffectsOfAJob(t *testing.T) {
	one := Effect{Kind: "lock", Keys: []string{"k"}, Args: []string{"a"}}
	many := func(n int) []Effect { return slices.Repeat([]Effect{one}, n) }
	for name, x := range map[string]struct {
		lock, lane []Effect
		want       int
		problem    string
	}{
		"none":               {nil, nil, 0, ""},
		"of several":         {many(1), []Effect{{Kind: "lane"}}, 2, ""},
		"8 are not too many": {many(4), many(4), 8, ""},
		"9 are": {many(5), many(4), 4,
			"capability lock, done of job x: 9 effects, more than 8"},
		"a kind not known": {[]Effect{{Kind: "x"}}, many(1), 1, `the effect "x" is not known`},
		"an empty key":     {[]Effect{{Kind: "lock", Keys: []string{""}}}, nil, 0, "an empty key"},
		"too many arguments": {[]Effect{{Kind: "lock", Args: make([]string, 33)}}, nil, 0,
			"33 keys and arguments, more than 32"},
		"too long an argument": {
			[]Effect{{Kind: "lock", Args: []string{strings.Repeat("x", 5000)}}}, nil, 0,
			"5000 bytes, more than 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := newCapabilities([]Capability{
				{Kind: "lock", Lua: "return", Effects: effectsOf(x.lock...)},
				{Kind: "lane", Lua: "return", Effects: effectsOf(x.lane...)},
				{Kind: "no_effects", Lua: "return"}})
			if err != nil {
				t.Fatal(err)
			}
			list, err := c.effects(mustJob(t), EventDone)
			if len(list) != x.want {
				t.Errorf("%d effects, want %d", len(list), x.want)
			}
			said := errors.Join(err, errors.New("")).Error()
			if (err != nil) != (x.problem != "") || !strings.Contains(said, x.problem) {
				t.Errorf("error %v, want %q", err, x.problem)
			}
		})
	}
}

func TestEffectsAreSplicedIntoAScript(t *testing.T) {
	list := []Capability{{Kind: "lock", Lua: "return 7 -- a comment at the end"}}
	text := ScriptWithEffects(markedLua, list)
	if !strings.HasPrefix(text, "#!lua flags=allow-oom\n-- Carry out") {
		t.Error("the first line must stay the first:", text)
	}
	function := "effects['lock'] = function(keys, args)\nreturn 7 -- a comment at the end\nend\n"
	if !strings.Contains(text, function) {
		t.Error("no function of the kind:", text)
	}
	without := strings.TrimPrefix(markedLua, "#!lua flags=allow-oom\n")
	hook := "result[#result] = run_effects(result[#result])"
	if !strings.HasSuffix(text, strings.Replace(without, "-- (effects)", hook, 1)) {
		t.Error("the script's own text has changed:", text)
	}
	for name, base := range map[string]string{
		"no place":      "#!lua\nreturn 1\n",
		"two places":    markedLua + "-- (effects)\n",
		"no first line": "return 1\n-- (effects)\n",
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			assemble(base, list)
		}()
	}
}

func TestResultsOfEffectsAreRead(t *testing.T) {
	for _, x := range []struct {
		in     any
		code   int64
		failed string
		bad    bool
	}{
		{int64(1), 1, "", false}, {int64(-1), -1, "", false},
		{"2 lock: WRONGTYPE no", 2, "lock: WRONGTYPE no", false},
		{"nonsense", 0, "", true}, {nil, 0, "", true},
	} {
		code, failed, err := effectResult(x.in)
		if code != x.code || failed != x.failed || (err != nil) != x.bad {
			t.Errorf("%v: %d %q %v", x.in, code, failed, err)
		}
	}
}
