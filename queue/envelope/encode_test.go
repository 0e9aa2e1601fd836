package envelope

import (
	"encoding/json"
	"testing"
)

func TestEncode(t *testing.T) {
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
		got, err := Encode(c.in, 0)
		if err != nil || string(got) != c.want {
			t.Errorf("encode(%#v) = %s, %v; want %s", c.in, got, err, c.want)
		}
	}
}
