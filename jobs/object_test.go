package jobs_test

import (
	"encoding/json"
	"testing"

	"github.com/kyujobs/kyu/jobs"
)

// forged are objects whose id another reader may take for that of a victim. HERE stands for
// the URL of the object.
var forged = map[string]string{
	"/variant/behind":  `{"id":"https://victim.example/users/bob","Id":"HERE"}`,
	"/variant/before":  `{"ID":"https://victim.example/users/bob","id":"HERE"}`,
	"/variant/alone":   `{"Id":"HERE"}`,
	"/variant/type":    `{"id":"HERE","type":"Note","Type":"Person"}`,
	"/double/behind":   `{"id":"https://victim.example/users/bob","id":"HERE"}`,
	"/double/escaped":  `{"id":"HERE","\u0069d":"https://victim.example/users/bob"}`,
	"/double/same":     `{"id":"HERE","id":"HERE"}`,
	"/double/type":     `{"id":"HERE","type":"Note","type":"Person"}`,
	"/double/keyword":  `{"id":"HERE","@id":"https://victim.example/users/bob"}`,
	"/double/@type":    `{"id":"HERE","type":"Note","@type":"Person"}`,
	"/double/deep":     `{"id":"HERE","actor":{"id":"https://a.example/","id":"HERE"}}`,
	"/number":          `{"id":1,"url":"HERE"}`,
	"/list":            `[{"id":"HERE"}]`,
	"/two":             `{"id":"HERE"}{"id":"https://victim.example/users/bob"}`,
	"/other/spellings": `{"id":"HERE","name":"a","Name":"b"}`,
}

// TestIdentityNotation fetches objects whose id is another notation of their URL.
func TestIdentityNotation(t *testing.T) {
	all := newSite(t)
	o := newOrigin(t)
	f := &jobs.Resources{DB: all.db, HTTP: all.http, Log: all.slog}
	for _, path := range []string{"/@日本", "/@%E6%97%A5%E6%9C%AC"} {
		t.Run(path, func(t *testing.T) {
			s := all.With(t)
			before := o.requests("/@日本")
			if err := f.Fetch(t.Context(), jobs.Resource{URL: o.URL + path}); err != nil {
				t.Error(err)
			}
			if n := o.requests("/@日本") - before; n != 1 {
				t.Errorf("%d requests", n)
			}
			if n := s.count("SELECT count(*) FROM kyu_resources WHERE url = $1",
				o.URL+"/@%E6%97%A5%E6%9C%AC"); n != 1 {
				t.Errorf("%d objects stored", n)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	all := newSite(t)
	o := newOrigin(t)
	f := &jobs.Resources{DB: all.db, HTTP: all.http, Log: all.slog}
	for path := range forged {
		want, name := 0, "of "+path+" is refused"
		if path == "/other/spellings" {
			want, name = 1, "counts although a key that decides nothing has two spellings"
		}
		t.Run(name, func(t *testing.T) {
			s := all.With(t)
			err := f.Fetch(t.Context(), jobs.Resource{URL: o.URL + path})
			if n := s.count("SELECT count(*) FROM kyu_resources WHERE url = $1",
				o.URL+path); n != want || err != nil {
				t.Errorf("%d objects stored, want %d (%v)", n, want, err)
			}
		})
	}
}

// FuzzIdentity reads accepted objects with a reader that takes keys without regard to case,
// of which the last one counts.
func FuzzIdentity(f *testing.F) {
	for _, body := range forged {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		id, err := jobs.IDOf(body)
		if err != nil {
			return
		}
		var object struct{ ID string }
		if err := json.Unmarshal(body, &object); err != nil || object.ID != id {
			t.Errorf("%q has the id %q for us and %q for another reader: %v", body, id, object.ID,
				err)
		}
	})
}
