package envelope

import "testing"

func TestPatch(t *testing.T) {
	for _, c := range []struct {
		name, raw, want string
		patch           func(*Patch)
	}{
		{"replace in place", `{"class":"A","retry":true,"x":1.0}`,
			`{"class":"A","retry":5,"x":1.0}`, func(p *Patch) { p.SetInt("retry", 5) }},
		{"append", `{"class":"A"}`, `{"class":"A","q":"l<é"}`,
			func(p *Patch) { p.SetString("q", "l<é") }},
		{"remove first", `{ "at": 1, "class":"A"}`, `{ "class":"A"}`,
			func(p *Patch) { p.Remove("at") }},
		{"remove middle", `{"class":"A" , "at":1 , "b":2}`, `{"class":"A" , "b":2}`,
			func(p *Patch) { p.Remove("at") }},
		{"remove last", `{"class":"A","at":1 }`, `{"class":"A" }`,
			func(p *Patch) { p.Remove("at") }},
		{"remove first two", `{"at":1,"at":2,"class":"A"}`, `{"class":"A"}`,
			func(p *Patch) { p.Remove("at") }},
		{"remove around", `{"at":1,"class":"A","at":2,"at":3,"b":1}`, `{"class":"A","b":1}`,
			func(p *Patch) { p.Remove("at") }},
		{"remove and add", `{"class":"A","at":1}`, `{"b":2}`,
			func(p *Patch) { p.Remove("at"); p.Remove("class"); p.SetInt("b", 2) }},
		{"escaped key", `{"class":"A","\u0061t":1}`, `{"class":"A"}`,
			func(p *Patch) { p.Remove("at") }},
		{"last duplicate wins", `{"class":"A","n":1,"n":2}`, `{"class":"A","n":1,"n":3}`,
			func(p *Patch) { p.SetInt("n", 3) }},
		{"nothing", sample, sample, func(p *Patch) {}},
	} {
		j, err := ParseJob(c.raw)
		if err != nil {
			t.Fatal(c.name, err)
		}
		var p Patch
		c.patch(&p)
		if got := p.Apply(j); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
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
		if tok := j.Field(key); tok != "" { // patch∘patch: the old token back gives the old bytes
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
