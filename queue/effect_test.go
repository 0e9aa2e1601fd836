package queue

import (
	"fmt"
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
	t.Run("is not needed", func(t *testing.T) {
		c, err := newCapabilities(nil)
		if c != nil || err != nil {
			t.Error(c, err)
		}
		if list, err := c.effects(mustJob(t), EventDone); list != nil || err != nil {
			t.Error(list, err)
		}
	})
	t.Run("is refused with all problems in one error", func(t *testing.T) {
		_, err := newCapabilities([]Capability{{Kind: "Lock", Lua: "return"}, {Kind: "a", Lua: " "},
			{Kind: "b", Lua: "return"}, {Kind: "b", Lua: "return"}, {Kind: "x'] = 1",
				Lua: "return"}})
		for _, part := range []string{`"Lock"`, "a has no Lua", "the kind b", `"x'] = 1"`} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("no %s in: %v", part, err)
			}
		}
	})
	t.Run("gives the same script in every order", func(t *testing.T) {
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

func TestEffects(t *testing.T) {
	one := Effect{Kind: "lock", Keys: []string{"k"}, Args: []string{"a"}}
	many := func(n int) []Effect { return slices.Repeat([]Effect{one}, n) }
	for name, x := range map[string]struct {
		lock, lane []Effect
		want       int
		problem    string
	}{
		"may be none":                        {nil, nil, 0, "<nil>"},
		"of several capabilities are joined": {many(1), []Effect{{Kind: "lane"}}, 2, "<nil>"},
		"may be 8 for a job":                 {many(4), many(4), 8, "<nil>"},
		"are refused beyond 8 for a job": {many(5), many(4), 4,
			"capability lock, done of job x: 9 effects, more than 8"},
		"are refused for an unknown kind": {[]Effect{{Kind: "x"}}, many(1), 1,
			`the effect "x" is not known`},
		"are refused for an empty key": {[]Effect{{Kind: "lock", Keys: []string{""}}}, nil, 0,
			"an empty key"},
		"are refused for 33 arguments": {[]Effect{{Kind: "lock", Args: make([]string, 33)}}, nil, 0,
			"33 keys and arguments, more than 32"},
		"are refused beyond 4096 bytes": {
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
			if text := fmt.Sprint(err); !strings.Contains(text, x.problem) {
				t.Errorf("error %s, want %q", text, x.problem)
			}
		})
	}
}

func TestScriptWithEffects(t *testing.T) {
	list := []Capability{{Kind: "lock", Lua: "return 7 -- a comment at the end"}}
	text := ScriptWithEffects(markedLua, list)
	t.Run("begins with the first line of the script", func(t *testing.T) {
		if !strings.HasPrefix(text, "#!lua flags=allow-oom\n-- ") {
			t.Error(text)
		}
	})
	t.Run("has a function for each kind", func(t *testing.T) {
		function := "kinds['lock'] = function(keys, args)\n" +
			"return 7 -- a comment at the end\nend\n"
		if !strings.Contains(text, function) {
			t.Error(text)
		}
	})
	t.Run("ends with the rest of the script, with effects at the marked place", func(t *testing.T) {
		rest := strings.TrimPrefix(markedLua, "#!lua flags=allow-oom\n")
		hook := "result[#result] = run_effects(result[#result])"
		if !strings.HasSuffix(text, strings.Replace(rest, "-- (effects)", hook, 1)) {
			t.Error(text)
		}
	})
	for name, base := range map[string]string{
		"no marked place":   "#!lua\nreturn 1\n",
		"two marked places": markedLua + "-- (effects)\n",
		"no #!lua line":     "return 1\n-- (effects)\n",
	} {
		t.Run("panics for a script with "+name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			assemble(base, list)
		})
	}
}

func TestEffectResult(t *testing.T) {
	for name, x := range map[string]struct {
		in     any
		code   int64
		failed string
		bad    bool
	}{
		"is a code":          {int64(1), 1, "", false},
		"is a negative code": {int64(-1), -1, "", false},
		"is a code with failed effects": {"2 lock: WRONGTYPE no", 2, "lock: WRONGTYPE no",
			false},
		"is an error for a text":             {"nonsense", 0, "", true},
		"is an error for a reply of no kind": {nil, 0, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			code, failed, err := effectResult(x.in)
			if code != x.code || failed != x.failed {
				t.Errorf("%d %q", code, failed)
			}
			if (err != nil) != x.bad {
				t.Errorf("error %v", err)
			}
		})
	}
}
