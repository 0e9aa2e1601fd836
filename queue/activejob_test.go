package queue

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func mustParse(t *testing.T, raw string) *Job {
	t.Helper()
	j, err := ParseJob(raw)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestCurrentAttributesAreReadInBothForms(t *testing.T) {
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

func TestARailsJobIsPushedInTheWrapperThatAllVersionsKnow(t *testing.T) {
	collect := &collector{}
	c := NewClient(collect)
	jid, err := c.PushActiveJob(t.Context(),
		"WelcomeJob", []any{1, map[string]any{"_aj_globalid": "gid://app/Account/7"}},
		Options{Queue: "mailers", Extra: map[string]any{"locale": "ja"}})
	if err != nil {
		t.Fatal(err)
	}
	j := mustParse(t, collect.payloads[0])
	class, args := j.Unwrapped()
	if j.JID != jid || j.Class != "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper" ||
		j.DisplayClass() != "WelcomeJob" ||
		class != "WelcomeJob" || string(args) != `[1,{"_aj_globalid":"gid://app/Account/7"}]` ||
		j.Queue != "mailers" || j.String("locale") != "ja" {
		t.Errorf("%s", j.Raw())
	}
	inner := `\{"arguments":\[.*\],"enqueued_at":"[^"]+Z","exception_executions":\{\},` +
		`"executions":0,"job_class":"WelcomeJob",` +
		`"job_id":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",` +
		`"locale":"en","priority":null,"provider_job_id":null,"queue_name":"mailers",` +
		`"timezone":"UTC"\}`
	if !regexp.MustCompile(inner).MatchString(j.Raw()) {
		t.Errorf("%s", j.Raw())
	}
}

// collector keeps what is pushed.
type collector struct{ payloads []string }

func (c *collector) PushBatches(_ context.Context, batches []Batch) error {
	for _, b := range batches {
		for _, j := range b.Jobs {
			c.payloads = append(c.payloads, j.Payload)
		}
	}
	return nil
}

func pack(text string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	fmt.Fprint(z, text)
	z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func TestABacktraceIsReadInEveryFormAndNeverInflatesBeyondItsBound(t *testing.T) {
	strict := pack(`["a.rb:1","é"]`)
	wrapped := strict[:10] + `\n` + strict[10:] + `\n`
	for field, want := range map[string]string{
		`"` + strict + `"`:               "[a.rb:1 é]",
		`"` + wrapped + `"`:              "[a.rb:1 é]",
		`["a.rb:1"]`:                     "[a.rb:1]",
		`"no base64!"`:                   "[]",
		`"` + pack("not an array") + `"`: "[]",
		`"aGVsbG8="`:                     "[]",
		`null`:                           "[]",
		`"` + pack(strings.Repeat(" ", 8<<20)+`["bomb"]`) + `"`: "[]",
	} {
		if got := fmt.Sprint(mustParse(t,
			`{"class":"A","error_backtrace":`+field+`}`).Backtrace()); got != want {
			t.Errorf("%.60s: %s, want %s", field, got, want)
		}
	}
}

func FuzzBacktrace(f *testing.F) {
	f.Add(pack(`["a.rb:1"]`))
	f.Add("eJw=")
	f.Fuzz(func(t *testing.T, text string) {
		if len(inflate(text)) > maxBacktrace {
			t.Error("inflates beyond its bound")
		}
	})
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
