package envelope

import (
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

type arguments struct {
	ID    int64
	Name  string
	Big   *big.Int
	_     int            // not exported: takes no argument
	Skip  int            `job:"-"`
	Extra map[string]any `job:"optional"`
	Rest  []float64      `job:"rest"`
}

func TestDecodeStruct(t *testing.T) {
	var s arguments
	if err := mustDecoder[arguments](t).Decode(json.RawMessage(
		`[1, "é", 12345678901234567890123, {"k":[true]}, 2.5, 3]`), &s); err != nil {
		t.Fatal(err)
	}
	if s.ID != 1 || s.Name != "é" || s.Big.String() != "12345678901234567890123" ||
		s.Extra["k"] == nil || !reflect.DeepEqual(s.Rest, []float64{2.5, 3}) {
		t.Errorf("%+v", s)
	}
	s = arguments{}
	if err := mustDecoder[arguments](t).Decode(json.RawMessage(`[1,"x",2]`), &s); err != nil ||
		s.Extra != nil || len(s.Rest) != 0 {
		t.Errorf("%+v %v", s, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	type two struct {
		A int
		B string
	}
	for args, want := range map[string]string{
		`[1]`:       "given 1, expected 2",
		`[1,"x",3]`: "given 3, expected 2",
		`["x","y"]`: "argument 1 (A)",
	} {
		var v two
		if err := mustDecoder[two](t).Decode(json.RawMessage(args), &v); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	var s arguments
	if err := mustDecoder[arguments](t).Decode(json.RawMessage(`[1]`), &s); err == nil ||
		!strings.Contains(err.Error(), "given 1, expected 3+") {
		t.Error(err)
	}
	var n int
	if err := mustDecoder[int](t).Decode(json.RawMessage(`[]`), &n); err == nil ||
		!strings.Contains(err.Error(), "given 0, expected 1") {
		t.Error(err)
	}
}

type custom struct{ raw string }

func (c *custom) UnmarshalJSON(b []byte) error { c.raw = string(b); return nil }

func TestDecodeWhole(t *testing.T) {
	var raw []json.RawMessage
	if err := mustDecoder[[]json.RawMessage](t).Decode(
		json.RawMessage(`[1.0, {"a":12345678901234567890}]`), &raw); err != nil ||
		string(raw[0]) != "1.0" || string(raw[1]) != `{"a":12345678901234567890}` {
		t.Errorf("%s %v", raw, err)
	}
	var c custom
	if err := mustDecoder[custom](t).Decode(json.RawMessage(`[1,2]`), &c); err != nil ||
		c.raw != `[1,2]` {
		t.Error(c, err)
	}
	var text string
	if err := mustDecoder[string](t).Decode(json.RawMessage(`["x"]`), &text); err != nil ||
		text != "x" {
		t.Error(text, err)
	}
}

func TestNewDecoder(t *testing.T) {
	for name, make := range map[string]func() (*Decoder, error){
		"required after optional": NewDecoder[struct {
			A int `job:"optional"`
			B int
		}],
		"after the rest": NewDecoder[struct {
			A []int `job:"rest"`
			B int
		}],
		"rest no slice": NewDecoder[struct {
			A int `job:"rest"`
		}],
		"unknown tag": NewDecoder[struct {
			A int `job:"maybe"`
		}],
		"channel": NewDecoder[chan int],
	} {
		t.Run("refuses: "+name, func(t *testing.T) {
			if _, err := make(); err == nil {
				t.Error("no error")
			}
		})
	}
}

func mustDecoder[A any](t *testing.T) *Decoder {
	t.Helper()
	d, err := NewDecoder[A]()
	if err != nil {
		t.Fatal(err)
	}
	return d
}
