package envelope

import (
	"strings"
	"testing"
)

func TestRubyRefuses(t *testing.T) {
	deep := strings.Repeat("[", 99) + strings.Repeat("]", 99)
	for raw, refused := range map[string]bool{
		`{"class":"A","args":[1,2.5,"é",null,{"k":[true]}]}`: false,
		`{"class":"A","args":["\ud83d\ude00"]}`:              false,
		`{"class":"A","args":[{"a":1},{"a":2}]}`:             false,
		`{"class":"A","args":` + deep + `}`:                  false,
		`{"class":"A","args":[],"tags":"x"}`:                 true,
		`{"class":"A","args":[],"queue":7}`:                  true,
		`{"class":"A","args":["cut \ud83d"]}`:                true,
		`{"class":"A","args":["\ude00"]}`:                    true,
		`{"class":"A","args":[{"a":1,"a":2}]}`:               true,
		`{"class":"A","args":[{"a":1,"\u0061":2}]}`:          true,
		`{"class":"A","args":[],"args":[]}`:                  true,
		"{\"class\":\"A\",\"args\":[\"\xff\"]}":              true,
		`{"class":"A","args":[` + deep + `]}`:                true,
	} {
		if got := rubyRefuses(t, raw); (got != nil) != refused {
			t.Errorf("%.60s: %v, want refused %t", raw, got, refused)
		}
	}
}

func TestForDeadSet(t *testing.T) {
	for raw, changed := range map[string]bool{
		`null`: true, `[1,2]`: true, `5`: true, ` true`: true, `"text"`: true, "\n[\"\xff\"]": true,
		`{"class":"A","tags":"x"}`: true, `{"queue":5}`: true, `{"class":"A","queue":["q"]}`: true,
		`{"class":"A","tags":["x"],"queue":"q"}`: false, `{"tags":null,"queue":null}`: false,
		`{"class":"A"}`: false, `{bad`: false, `no job`: false, ``: false, "\xff": false,
		`nul`: false,
		` {}`: false,
	} {
		got := ForDeadSet(raw)
		if (got != raw) != changed {
			t.Errorf("%q became %q", raw, got)
		}
		if Original(got) != raw {
			t.Errorf("%q: the bytes are not kept: %q", raw, Original(got))
		}
		if again := ForDeadSet(got); again != got {
			t.Errorf("%q: a second time it became %q", raw, again)
		}
	}
}

func rubyRefuses(t *testing.T, raw string) error {
	t.Helper()
	j, err := ParseJob(raw)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return j.RubyRefuses()
}
