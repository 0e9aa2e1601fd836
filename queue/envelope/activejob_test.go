package envelope

import (
	"encoding/json"
	"testing"
)

func TestUnwrapped(t *testing.T) {
	for _, wrapper := range []string{"ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper",
		"Sidekiq::ActiveJob::Wrapper"} {
		j, err := ParseJob(`{"class":"` + wrapper +
			`","wrapped":"MailJob","args":[{"job_class":"MailJob","arguments":[7,"x"]}]}`)
		if err != nil {
			t.Fatal(err)
		}
		class, args := j.Unwrapped()
		if class != "MailJob" || string(args) != `[7,"x"]` || j.DisplayClass() != "MailJob" {
			t.Errorf("%s: %s %s", wrapper, class, args)
		}
	}
}

func TestCurrentAttributes(t *testing.T) {
	const symbol = `{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"tenant"}`
	for raw, want := range map[string]string{
		`{"class":"A"}`: `{}`,
		`{"class":"A","cattr":{"user":1,"x":{"a":1.0}}}`:             `{"user":1,"x":{"a":1.0}}`,
		`{"class":"A","cattr":{"user":1},"cattr_1":{"locale":"ja"}}`: `{"locale":"ja","user":1}`,
		`{"class":"A","cattr":[["user",1],[` + symbol + `,"é"]]}`:    `{"tenant":"é","user":1}`,
		`{"class":"A","cattr":[["user"],[1,2]]}`:                     `{"user":null}`,
		`{"class":"A","cattr":"nonsense"}`:                           `{}`,
		`{"class":"A","cattr":null}`:                                 `{}`,
	} {
		got, err := json.Marshal(mustParse(t, raw).CurrentAttributes())
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, want %s, %v", raw, got, want, err)
		}
	}
}

func FuzzCurrentAttributes(f *testing.F) {
	f.Add(`[[{"_aj_serialized":"S","value":"a"},1]]`)
	f.Add(`{"a":1}`)
	f.Fuzz(func(t *testing.T, token string) {
		for name, value := range attributes(token) {
			if !json.Valid(value) && len(value) > 0 {
				t.Errorf("%q: %q is no JSON", name, value)
			}
		}
	})
}
