package inspect

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

const deliveryPayload = `{"class":"ActivityPub::DeliveryWorker","jid":"0a1b2c","queue":"push",` +
	`"args":["{\"type\":\"Create\"}",42,"https://Mastodon.Example:443/inbox",{"deep":["x y"]}],` +
	`"created_at":1764380000.5,"retry_count":3,"tags":["slow","ja"],` +
	`"error_class":"HTTP::Timeout","error_message":"no answer from 192.0.2.1"}`

func TestFilter(t *testing.T) {
	j, err := envelope.ParseJob(deliveryPayload)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1764380000+7200, 0)
	for text, want := range map[string]bool{
		"": true, "class:ActivityPub::DeliveryWorker": true, "class:activitypub::*": true,
		"class:*delivery*": true, "class:DeliveryWorker": false, "queue:push": true,
		"queue:pull": false, "jid:0a1b2c": true, "jid:0a*": true, "jid:a1": false,
		"tag:slow": true, "tag:s*": true, "tag:low": false, "error:timeout": true,
		"error:192.0.2.1": true, "error:refused": false, "arg:42": true, "arg:4": true,
		"arg:47": false, `arg:"x y"`: true, "host:mastodon.example": true, "host:*.example": true,
		"host:example": false, "host:inbox": false, "age>1h": true, "age>3h": false, "age<3h": true,
		"age>0.05d": true, "age<1d": true, "retry>3": true, "retry>4": false, "retry:4": true,
		"retry<4": false, "DeliveryWorker": true, "deliverypuller": false, `"no answer"`: true,
		"-queue:push": false, "-queue:pull": true, "-DeliveryWorker": false,
		"queue:push host:mastodon.example -tag:fast age>1h": true, "queue:push tag:fast": false,
		"ActivityPub::DeliveryWorker": true, `"queue:push"`: false,
	} {
		t.Run("matches as it says: "+text, func(t *testing.T) {
			f, err := ParseFilter(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Match(deliveryPayload, j, now); got != want {
				t.Errorf("%v, want %v", got, want)
			}
			if want && !f.mayMatch(deliveryPayload) {
				t.Errorf("%q is not in the payload", f.needle)
			}
		})
	}
	t.Run("chooses bytes that are no job only by text", func(t *testing.T) {
		for text, want := range map[string]bool{"nonsense": true, "class:*": false, "": true} {
			f, _ := ParseFilter(text)
			if f.Match("this is Nonsense", nil, now) != want {
				t.Errorf("%q: want %v", text, want)
			}
		}
	})
}

func TestParseFilter(t *testing.T) {
	for text, want := range map[string]string{
		"klass:A":     `there is no "klass"`,
		"class:":      "a value is missing",
		"class>A":     "want class:VALUE",
		"age:3h":      "want age>2h",
		"age>soon":    "want age>2h",
		"age>-3h":     "want age>2h",
		"retry>many":  "want retry>3",
		`"open`:       "a quote is not closed",
		"a:1 b:2 c:3": `there is no "c"`,
	} {
		t.Run("names what is wrong in "+text, func(t *testing.T) {
			if _, err := ParseFilter(text); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, text := range []string{"class:A* -tag:x age>3d", `"a b" error:"c d"`, "host:*", "-"} {
		f.Add(text, deliveryPayload)
	}
	f.Fuzz(func(t *testing.T, text, raw string) {
		filter, err := ParseFilter(text)
		if err != nil {
			return
		}
		j, _ := envelope.ParseJob(raw)
		if filter.Match(raw, j, time.Unix(1764380000, 0)) && !filter.mayMatch(raw) {
			t.Errorf("%q matches a payload without %q", text, filter.needle)
		}
		if again, err := ParseFilter(filter.String()); err != nil ||
			len(again.terms) != len(filter.terms) {
			t.Errorf("%q is read as %d terms, and its own text as %d: %v", text, len(filter.terms),
				len(again.terms), err)
		}
	})
}

func TestTerm(t *testing.T) {
	long := strings.Repeat("long ", 100)
	for _, value := range []string{"Feed::Job", "with spaces", `a "quoted" word`, "::1",
		"キュー の 名", "a*b", "-x", "line\nbreak", long, "https://h/p?q=1"} {
		t.Run("chooses the jobs with "+value[:min(20, len(value))], func(t *testing.T) {
			b, err := json.Marshal(map[string]any{"class": value, "jid": "j", "args": []any{},
				"error_class": value})
			if err != nil {
				t.Fatal(err)
			}
			j, err := envelope.ParseJob(string(b))
			if err != nil {
				t.Fatal(err)
			}
			other, _ := envelope.ParseJob(`{"class":"Other","jid":"j","args":[],"error_class":"O"}`)
			for _, key := range []string{"class", "error"} {
				f, err := ParseFilter(Term(key, value))
				if err != nil || !f.Match(string(b), j, time.Now()) ||
					f.Match("", other, time.Now()) {
					t.Errorf("%s: %v", Term(key, value), err)
				}
			}
		})
	}
	t.Run("is empty if it would choose all", func(t *testing.T) {
		for _, value := range []string{"", `"`, "*"} {
			if got := Term("class", value); got != "" {
				t.Error(got)
			}
		}
	})
}
