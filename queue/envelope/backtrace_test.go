package envelope

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func pack(text string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	fmt.Fprint(z, text)
	z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func TestBacktrace(t *testing.T) {
	strict := pack(`["a.rb:1","é"]`)
	wrapped := strict[:10] + `\n` + strict[10:] + `\n`
	bomb := pack(strings.Repeat(" ", 8<<20) + `["bomb"]`)
	for name, c := range map[string]struct{ field, want string }{
		"is read from one line of base64":      {`"` + strict + `"`, "[a.rb:1 é]"},
		"is read from lines of base64":         {`"` + wrapped + `"`, "[a.rb:1 é]"},
		"is read from an array":                {`["a.rb:1"]`, "[a.rb:1]"},
		"is empty without base64":              {`"no base64!"`, "[]"},
		"is empty without an array":            {`"` + pack("not an array") + `"`, "[]"},
		"is empty without zlib":                {`"aGVsbG8="`, "[]"},
		"is empty for null":                    {`null`, "[]"},
		"is empty if it inflates beyond 1 MiB": {`"` + bomb + `"`, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			j := mustParse(t, `{"class":"A","error_backtrace":`+c.field+`}`)
			if got := fmt.Sprint(j.Backtrace()); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	t.Run("is read from what PackBacktrace wrote", func(t *testing.T) {
		packed := PackBacktrace([]string{"a.go:1", "é"})
		j := mustParse(t, `{"class":"A","error_backtrace":"`+packed+`"}`)
		if got := fmt.Sprint(j.Backtrace()); got != "[a.go:1 é]" {
			t.Errorf("%s", got)
		}
	})
}

func FuzzBacktrace(f *testing.F) {
	f.Add(pack(`["a.rb:1"]`))
	f.Add("eJw=")
	f.Fuzz(func(t *testing.T, text string) {
		if len(inflate(text)) > maxBacktrace {
			t.Error("inflates beyond the limit")
		}
	})
}
