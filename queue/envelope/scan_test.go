package envelope

import (
	"encoding/json"
	"testing"
)

// FuzzScan compares the scanner with encoding/json: both accept the same bytes.
func FuzzScan(f *testing.F) {
	for _, s := range []string{sample, `{}`, `[1,-0.5e+10,"\u00e9\\"]`, `{"a":`, `01`, `-`, `"\x"`,
		" \t\n[]\r", `1.`, "\"\x1f\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := scanner{s: s}
		if got, want := c.value(0) && c.end(), json.Valid([]byte(s)); got != want {
			t.Errorf("%q: the scanner says %v, encoding/json says %v", s, got, want)
		}
	})
}
