package envelope

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const sample = `{"retry":true,"queue":"default","class":"OkJob",` +
	`"args":[1,2.5,"é<b>&",null,{"k":[true]}],"jid":"b4a577edbccf1d805744efa9",` +
	`"created_at":1795345820.25,"foo":{"a":1.0,"b":12345678901234567890},"tags":["t1"]}`

func TestJob(t *testing.T) {
	j := mustParse(t, sample)
	for name, c := range map[string]struct{ got, want string }{
		"Class": {j.Class, "OkJob"},
		"Queue": {j.Queue, "default"},
		"JID":   {j.JID, "b4a577edbccf1d805744efa9"},
		"Args":  {string(j.Args), `[1,2.5,"é<b>&",null,{"k":[true]}]`},
		"Raw":   {j.Raw(), sample},
		"Time":  {j.Time("created_at").UTC().String(), "2026-11-22 11:10:20.25 +0000 UTC"},
		"Tags":  {fmt.Sprint(j.Tags()), "[t1]"},
		"Field": {j.Field("foo"), `{"a":1.0,"b":12345678901234567890}`},
	} {
		t.Run(name+" reads the payload", func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("%s, want %s", c.got, c.want)
			}
		})
	}
}

func TestAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		want   int
	}{
		"is 1 before a failure":            {"", 1},
		"is 2 after the first failure":     {`,"retry_count":0`, 2},
		"is 5 after the fourth":            {`,"retry_count":3`, 5},
		"is 1 after a retry by hand":       {`,"retry_count":-1`, 1},
		"is 1 for a nonsensical count":     {`,"retry_count":-9`, 1},
		"is limited for a gigantic number": {`,"retry_count":99999999999`, 1_000_002},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mustParse(t, `{"class":"A"`+c.fields+`}`).Attempt(); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
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
		t.Run("refuses "+strings.TrimSpace(raw), func(t *testing.T) {
			_, err := ParseJob(raw)
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want ErrInvalid with %q", err, want)
			}
		})
	}
}

func TestField(t *testing.T) {
	t.Run("finds a name that is written with escapes", func(t *testing.T) {
		j := mustParse(t, `{"class":"A","b\u0069d":"escaped"}`)
		if got := j.String("bid"); got != "escaped" {
			t.Errorf("bid is %q", got)
		}
	})
	t.Run("finds an empty name", func(t *testing.T) {
		if got := mustParse(t, `{"class":"A","":7}`).Field(""); got != "7" {
			t.Errorf("%q", got)
		}
	})
	t.Run("is empty for a field that is absent", func(t *testing.T) {
		if got := mustParse(t, `{"class":"A","bid":"x"}`).Field("crashes"); got != "" {
			t.Errorf("%q", got)
		}
	})
	t.Run("finds each of 300 fields, although names share bits of the filter", func(t *testing.T) {
		raw := `{"class":"A"`
		for i := range 300 {
			raw += fmt.Sprintf(`,"f%d":%d`, i, i)
		}
		j := mustParse(t, raw+"}")
		for i := range 300 {
			if got, ok := j.Int(fmt.Sprint("f", i)); !ok || got != int64(i) {
				t.Errorf("f%d is %d", i, got)
			}
		}
	})
}

func mustParse(t *testing.T, raw string) *Job {
	t.Helper()
	j, err := ParseJob(raw)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
