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
		t.Run("returns the wrapped job of "+wrapper, func(t *testing.T) {
			class, args := j.Unwrapped()
			if class != "MailJob" || string(args) != `[7,"x"]` {
				t.Errorf("class %s, arguments %s", class, args)
			}
			if got := j.DisplayClass(); got != "MailJob" {
				t.Errorf("the class to show is %s", got)
			}
		})
	}
}

func TestCurrentAttributes(t *testing.T) {
	const symbol = `{"_aj_serialized":"ActiveJob::Serializers::SymbolSerializer","value":"tenant"}`
	for name, c := range map[string]struct{ fields, want string }{
		"are empty without a field": {``, `{}`},
		"are read from an object": {`,"cattr":{"user":1,"x":{"a":1.0}}`,
			`{"user":1,"x":{"a":1.0}}`},
		"are read from several objects": {`,"cattr":{"user":1},"cattr_1":{"locale":"ja"}`,
			`{"locale":"ja","user":1}`},
		"are read from pairs": {`,"cattr":[["user",1],[` + symbol + `,"é"]]`,
			`{"tenant":"é","user":1}`},
		"skip a name that is no text": {`,"cattr":[["user"],[1,2]]`, `{"user":null}`},
		"are empty for a string":      {`,"cattr":"nonsense"`, `{}`},
		"are empty for null":          {`,"cattr":null`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			j := mustParse(t, `{"class":"A"`+c.fields+`}`)
			got, err := json.Marshal(j.CurrentAttributes())
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %v, want %s", got, err, c.want)
			}
		})
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
