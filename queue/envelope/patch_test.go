package envelope

import "testing"

func TestPatch(t *testing.T) {
	for _, c := range []struct {
		name, raw, want string
		patch           func(*Patch)
	}{
		{"replaces a field in place", `{"class":"A","retry":true,"x":1.0}`,
			`{"class":"A","retry":5,"x":1.0}`, func(p *Patch) { p.SetInt("retry", 5) }},
		{"appends a new field", `{"class":"A"}`, `{"class":"A","q":"l<é"}`,
			func(p *Patch) { p.SetString("q", "l<é") }},
		{"removes the first field", `{ "at": 1, "class":"A"}`, `{ "class":"A"}`,
			func(p *Patch) { p.Remove("at") }},
		{"removes a field in the middle", `{"class":"A" , "at":1 , "b":2}`, `{"class":"A" , "b":2}`,
			func(p *Patch) { p.Remove("at") }},
		{"removes the last field", `{"class":"A","at":1 }`, `{"class":"A" }`,
			func(p *Patch) { p.Remove("at") }},
		{"removes two fields of one name", `{"at":1,"at":2,"class":"A"}`, `{"class":"A"}`,
			func(p *Patch) { p.Remove("at") }},
		{"removes fields of one name around another",
			`{"at":1,"class":"A","at":2,"at":3,"b":1}`, `{"class":"A","b":1}`,
			func(p *Patch) { p.Remove("at") }},
		{"removes all fields and adds one", `{"class":"A","at":1}`, `{"b":2}`,
			func(p *Patch) { p.Remove("at"); p.Remove("class"); p.SetInt("b", 2) }},
		{"removes a name that is written with escapes", `{"class":"A","\u0061t":1}`,
			`{"class":"A"}`,
			func(p *Patch) { p.Remove("at") }},
		{"changes the last of two fields of one name", `{"class":"A","n":1,"n":2}`,
			`{"class":"A","n":1,"n":3}`,
			func(p *Patch) { p.SetInt("n", 3) }},
		{"changes nothing without a change", sample, sample, func(p *Patch) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Patch
			c.patch(&p)
			if got := p.Apply(mustParse(t, c.raw)); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func FuzzPatch(f *testing.F) {
	f.Add(sample, "jid", "text")
	f.Add(`{"class":"A","a":1,"a":2}`, "a", "")
	f.Add(`{ "a" : 1.0 ,"class":"A"}`, "class", "é")
	f.Fuzz(func(t *testing.T, raw, key, text string) {
		j, err := ParseJob(raw)
		if err != nil || key == "class" || key == "args" {
			return
		}
		var set, undo Patch
		set.SetString(key, text)
		set.Apply(j)
		patched, err := ParseJob(set.Apply(j))
		if err != nil {
			t.Fatalf("patched payload is broken: %v", err)
		}
		for _, m := range j.members {
			name, _ := Unquote(m.name.token(raw))
			if want := string(AppendString(nil, name)); name != key &&
				string(AppendString(nil, key)) != want {
				if got := patched.Field(name); got != j.Field(name) {
					t.Errorf("field %q changed from %s to %s", name, j.Field(name), got)
				}
			}
		}
		if tok := j.Field(key); tok != "" { // the old value again gives the old bytes
			undo.Set(key, tok)
			if got := undo.Apply(patched); got != raw {
				t.Errorf("undone: %q, want %q", got, raw)
			}
		}
		var gone Patch
		gone.Remove(key)
		if out, err := ParseJob(gone.Apply(j)); err != nil || out.Field(key) != "" {
			t.Errorf("removed: %q, %v", gone.Apply(j), err)
		}
	})
}
