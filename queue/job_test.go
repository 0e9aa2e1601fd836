package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const sample = `{"retry":true,"queue":"default","class":"OkJob",` +
	`"args":[1,2.5,"é<b>&",null,{"k":[true]}],"jid":"b4a577edbccf1d805744efa9",` +
	`"created_at":1795345820.25,"foo":{"a":1.0,"b":12345678901234567890},"tags":["t1"]}`

func TestJobReadsItsFieldsAndKeepsItsBytes(t *testing.T) {
	j, err := ParseJob(sample)
	if err != nil {
		t.Fatal(err)
	}
	if j.Class != "OkJob" || j.Queue != "default" || j.JID != "b4a577edbccf1d805744efa9" ||
		string(j.Args) != `[1,2.5,"é<b>&",null,{"k":[true]}]` {
		t.Errorf("read %q %q %q %s", j.Class, j.Queue, j.JID, j.Args)
	}
	if j.Raw() != sample {
		t.Error("raw bytes changed")
	}
	if got := j.Time("created_at"); !got.Equal(time.UnixMilli(1795345820250)) {
		t.Errorf("created_at = %v", got)
	}
	if got := j.Tags(); len(got) != 1 || got[0] != "t1" {
		t.Errorf("tags = %v", got)
	}
}

func TestBytesThatAreNoJobAreRefusedWithTheReason(t *testing.T) {
	for raw, want := range map[string]string{
		``:                                 "no JSON object",
		`[1]`:                              "no JSON object",
		`{bad json`:                        "broken JSON",
		`{"class":"A","args":[]} x`:        "broken JSON",
		`{"args":[]}`:                      "class",
		`{"class":7,"args":[]}`:            "class",
		`{"class":"A","args":{}}`:          "args",
		`{"class":"A","args":[1,]}`:        "broken JSON",
		"{\"class\":\"A\n\",\"args\":[1]}": "broken JSON",
	} {
		_, err := ParseJob(raw)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseJob(%q) = %v, want ErrInvalid with %q", raw, err, want)
		}
	}
}

func TestPatchTouchesOnlyTheFieldsItNames(t *testing.T) {
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

func TestTimestampsReadInEveryFormThatSidekiqWrote(t *testing.T) {
	at := time.UnixMilli(1795345820974)
	for tok, want := range map[string]time.Time{
		`1795345820.974`:              at,
		`1795345820974`:               at,
		`1795345820`:                  time.Unix(1795345820, 0),
		`1.795345820974e9`:            at,
		`"2026-11-22T11:10:20.974Z"`:  at,
		`"2026-11-22 11:10:20 UTC"`:   time.Unix(1795345820, 0),
		`"2026-11-22 12:10:20 +0100"`: time.Unix(1795345820, 0),
	} {
		if got, ok := parseTime(tok); !ok || !got.Equal(want) {
			t.Errorf("parseTime(%s) = %v %v, want %v", tok, got.UTC(), ok, want.UTC())
		}
	}
	for _, tok := range []string{`"soon"`, `null`, `true`, ``, `[1]`, `1e400`} {
		if got, ok := parseTime(tok); ok {
			t.Errorf("parseTime(%s) = %v, want absent", tok, got)
		}
	}
}

func TestTimestampsAreWrittenInTheChosenForm(t *testing.T) {
	millis, _ := ParseJob(`{"class":"A","created_at":1795345820974}`)
	seconds, _ := ParseJob(`{"class":"A","created_at":1795345820.974}`)
	whole := time.Unix(1795345820, 0)
	for _, c := range []struct {
		form Timestamps
		job  *Job
		want string
	}{
		// an integral float keeps its fraction: else Sidekiq 8 reads 1970
		{Float, millis, "1795345820.0"},
		{Millis, seconds, "1795345820000"},
		{Mirror, millis, "1795345820000"},
		{Mirror, seconds, "1795345820.0"},
		{Mirror, nil, "1795345820.0"},
	} {
		if got := string(c.form.appendTime(nil, whole, c.job)); got != c.want {
			t.Errorf("%s: %s, want %s", c.form, got, c.want)
		}
	}
}

func TestEncodeWritesWhatRubyWouldGenerate(t *testing.T) {
	type s struct {
		F float64 `json:"f"`
	}
	for _, c := range []struct {
		in   any
		want string
	}{
		{[]any{1, 1.0, float32(2.5), "é<b>&\u2028\u007f/", nil},
			"[1,1.0,2.5,\"é<b>&\u2028\u007f/\",null]"},
		{[]any{1e14, 1e15, 1.5e-7, 5e-324, 1e-4, 123456789012345680.0},
			"[100000000000000.0,1.0e+15,1.5e-07,5.0e-324,0.0001,1.2345678901234568e+17]"},
		{"\"\\\b\t\n\f\r\x01", `"\"\\\b\t\n\f\r\u0001"`},
		{json.RawMessage(`[ 1e2 , 12345678901234567890123, "\u003c\/" ]`),
			`[100.0,12345678901234567890123,"</"]`},
		{json.Number("1.50"), `1.5`},
		{map[string]any{"b": 1, "a": []string(nil)}, `{"a":null,"b":1}`},
		{s{2}, `{"f":2.0}`},
	} {
		got, err := encode(c.in, 0)
		if err != nil || string(got) != c.want {
			t.Errorf("encode(%#v) = %s, %v; want %s", c.in, got, err, c.want)
		}
	}
}

func TestUnwrappedFindsTheActiveJobInside(t *testing.T) {
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

func FuzzScanAgreesWithStdlib(f *testing.F) {
	for _, s := range []string{sample, `{}`, `[1,-0.5e+10,"\u00e9\\"]`, `{"a":`, `01`, `-`, `"\x"`,
		" \t\n[]\r", `1.`, "\"\x1f\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := scanner{s: s}
		if got, want := c.value(0) && c.end(), json.Valid([]byte(s)); got != want {
			t.Errorf("scan(%q) = %v, encoding/json says %v", s, got, want)
		}
	})
}

func FuzzPatchKeepsEveryOtherByte(f *testing.F) {
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
			name, _ := unquote(m.name.token(raw))
			if want := string(appendString(nil, name)); name != key &&
				string(appendString(nil, key)) != want {
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

// A set of bits answers for absent fields, and names share its bits.
func TestAFieldIsFoundHoweverItsNameIsWrittenAndHoweverManyThereAre(t *testing.T) {
	parse := func(raw string) *Job {
		j, err := ParseJob(raw)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	if got := parse(`{"class":"A","b\u0069d":"escaped"}`).String("bid"); got != "escaped" {
		t.Errorf("bid is %q", got)
	}
	j := parse(`{"class":"A","bid":"x","":7}`)
	if j.String("bid") != "x" || j.Field("") != "7" || j.Field("crashes") != "" {
		t.Errorf("bid %q, the one without a name %q, crashes %q", j.String("bid"), j.Field(""),
			j.Field("crashes"))
	}
	raw := `{"class":"A"`
	for i := range 300 {
		raw += fmt.Sprintf(`,"f%d":%d`, i, i)
	}
	j = parse(raw + "}")
	for i := range 300 {
		if got, ok := j.Int(fmt.Sprint("f", i)); !ok || got != int64(i) {
			t.Errorf("f%d is %d", i, got)
		}
	}
}
