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
