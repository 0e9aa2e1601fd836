package envelope

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

type arguments struct {
	ID    int64
	Name  string
	Big   *big.Int
	_     int            // not exported, so it takes no argument
	Skip  int            `job:"-"`
	Extra map[string]any `job:"optional"`
	Rest  []float64      `job:"rest"`
}

func TestDecode(t *testing.T) {
	t.Run("gives each field of a struct an argument, and the last the rest", func(t *testing.T) {
		var got arguments
		if err := mustDecoder[arguments](t).Decode(json.RawMessage(
			`[1, "é", 12345678901234567890123, {"k":[true]}, 2.5, 3]`), &got); err != nil {
			t.Fatal(err)
		}
		large, _ := new(big.Int).SetString("12345678901234567890123", 10)
		want := arguments{ID: 1, Name: "é", Big: large, Extra: map[string]any{"k": []any{true}},
			Rest: []float64{2.5, 3}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
	t.Run("leaves optional arguments that are missing zero", func(t *testing.T) {
		var s arguments
		err := mustDecoder[arguments](t).Decode(json.RawMessage(`[1,"x",2]`), &s)
		if err != nil || s.Extra != nil || len(s.Rest) != 0 {
			t.Errorf("%+v %v", s, err)
		}
	})
	t.Run("gives a slice all arguments", func(t *testing.T) {
		var raw []json.RawMessage
		err := mustDecoder[[]json.RawMessage](t).Decode(
			json.RawMessage(`[1.0, {"a":12345678901234567890}]`), &raw)
		if got := fmt.Sprintf("%s", raw); err != nil ||
			got != `[1.0 {"a":12345678901234567890}]` {
			t.Errorf("%s %v", got, err)
		}
	})
	t.Run("gives a type with UnmarshalJSON all arguments", func(t *testing.T) {
		var c custom
		err := mustDecoder[custom](t).Decode(json.RawMessage(`[1,2]`), &c)
		if err != nil || c.raw != `[1,2]` {
			t.Error(c, err)
		}
	})
	t.Run("gives any other type the only argument", func(t *testing.T) {
		var text string
		err := mustDecoder[string](t).Decode(json.RawMessage(`["x"]`), &text)
		if err != nil || text != "x" {
			t.Error(text, err)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	type two struct {
		A int
		B string
	}
	for name, c := range map[string]struct {
		decoder *Decoder
		args    string
		out     any
		want    string
	}{
		"too few arguments": {mustDecoder[two](t), `[1]`, new(two), "given 1, expected 2"},
		"too many arguments": {mustDecoder[two](t), `[1,"x",3]`, new(two),
			"given 3, expected 2"},
		"an argument of another type": {mustDecoder[two](t), `["x","y"]`, new(two),
			"argument 1 (A)"},
		"too few before the rest": {mustDecoder[arguments](t), `[1]`, new(arguments),
			"given 1, expected 3+"},
		"no argument for an int": {mustDecoder[int](t), `[]`, new(int), "given 0, expected 1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.decoder.Decode(json.RawMessage(c.args), c.out)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

type custom struct{ raw string }

func (c *custom) UnmarshalJSON(b []byte) error { c.raw = string(b); return nil }

func TestNewDecoder(t *testing.T) {
	for name, newDecoder := range map[string]func() (*Decoder, error){
		"a required field after an optional one": NewDecoder[struct {
			A int `job:"optional"`
			B int
		}],
		"a field after the rest": NewDecoder[struct {
			A []int `job:"rest"`
			B int
		}],
		"a rest that is no slice": NewDecoder[struct {
			A int `job:"rest"`
		}],
		"an unknown tag": NewDecoder[struct {
			A int `job:"maybe"`
		}],
		"a channel": NewDecoder[chan int],
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			if _, err := newDecoder(); err == nil {
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
