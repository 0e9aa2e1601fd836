package envelope

import (
	"encoding/json"
	"testing"
)

func TestEncode(t *testing.T) {
	type s struct {
		F float64 `json:"f"`
	}
	for name, c := range map[string]struct {
		in   any
		want string
	}{
		"escapes no more than JSON demands": {
			[]any{1, 1.0, float32(2.5), "é<b>&\u2028\u007f/", nil},
			"[1,1.0,2.5,\"é<b>&\u2028\u007f/\",null]"},
		"writes floats with a fraction": {
			[]any{1e14, 1e15, 1.5e-7, 5e-324, 1e-4, 123456789012345680.0},
			"[100000000000000.0,1.0e+15,1.5e-07,5.0e-324,0.0001,1.2345678901234568e+17]"},
		"escapes quotes and control characters": {"\"\\\b\t\n\f\r\x01", `"\"\\\b\t\n\f\r\u0001"`},
		"rewrites raw JSON": {json.RawMessage(`[ 1e2 , 12345678901234567890123, "\u003c\/" ]`),
			`[100.0,12345678901234567890123,"</"]`},
		"writes a json.Number":    {json.Number("1.50"), `1.5`},
		"sorts the keys of a map": {map[string]any{"b": 1, "a": []string(nil)}, `{"a":null,"b":1}`},
		"writes a struct":         {s{2}, `{"f":2.0}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Encode(c.in, 0)
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %v; want %s", got, err, c.want)
			}
		})
	}
}
