package envelope

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const sample = `{"retry":true,"queue":"default","class":"OkJob",` +
	`"args":[1,2.5,"é<b>&",null,{"k":[true]}],"jid":"b4a577edbccf1d805744efa9",` +
	`"created_at":1795345820.25,"foo":{"a":1.0,"b":12345678901234567890},"tags":["t1"]}`

func TestJob(t *testing.T) {
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

func TestParseJob(t *testing.T) {
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

// A set of bits answers for absent fields, and names share its bits.
func TestField(t *testing.T) {
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

func mustParse(t *testing.T, raw string) *Job {
	t.Helper()
	j, err := ParseJob(raw)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
