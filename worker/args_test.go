package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

type sample struct {
	ID    int64
	Name  string
	Big   *big.Int
	_     int            // not exported: takes no argument
	Skip  int            `job:"-"`
	Extra map[string]any `job:"optional"`
	Rest  []float64      `job:"rest"`
}

func TestPositionalArgumentsFillAStructInOrder(t *testing.T) {
	var s sample
	if err := newDecoder[sample]().decode(json.RawMessage(
		`[1, "é", 12345678901234567890123, {"k":[true]}, 2.5, 3]`), &s); err != nil {
		t.Fatal(err)
	}
	if s.ID != 1 || s.Name != "é" || s.Big.String() != "12345678901234567890123" ||
		s.Extra["k"] == nil || !reflect.DeepEqual(s.Rest, []float64{2.5, 3}) {
		t.Errorf("%+v", s)
	}
	s = sample{}
	if err := newDecoder[sample]().decode(json.RawMessage(`[1,"x",2]`), &s); err != nil ||
		s.Extra != nil || len(s.Rest) != 0 {
		t.Errorf("%+v %v", s, err)
	}
}

func TestWrongArgumentsAreRefusedAsRubyRefusesThem(t *testing.T) {
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
		if err := newDecoder[two]().decode(json.RawMessage(args), &v); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	var s sample
	if err := newDecoder[sample]().decode(json.RawMessage(`[1]`), &s); err == nil ||
		!strings.Contains(err.Error(), "given 1, expected 3+") {
		t.Error(err)
	}
	var n int
	if err := newDecoder[int]().decode(json.RawMessage(`[]`), &n); err == nil ||
		!strings.Contains(err.Error(), "given 0, expected 1") {
		t.Error(err)
	}
}

type custom struct{ raw string }

func (c *custom) UnmarshalJSON(b []byte) error { c.raw = string(b); return nil }

func TestOtherTypesTakeTheArgumentsWhole(t *testing.T) {
	var raw []json.RawMessage
	if err := newDecoder[[]json.RawMessage]().decode(
		json.RawMessage(`[1.0, {"a":12345678901234567890}]`), &raw); err != nil ||
		string(raw[0]) != "1.0" || string(raw[1]) != `{"a":12345678901234567890}` {
		t.Errorf("%s %v", raw, err)
	}
	var c custom
	if err := newDecoder[custom]().decode(json.RawMessage(`[1,2]`), &c); err != nil ||
		c.raw != `[1,2]` {
		t.Error(c, err)
	}
	var text string
	if err := newDecoder[string]().decode(json.RawMessage(`["x"]`), &text); err != nil ||
		text != "x" {
		t.Error(text, err)
	}
}

func TestAnArgumentsTypeThatCannotWorkIsFoundWhenTheProgramStarts(t *testing.T) {
	for name, make := range map[string]func(){
		"required after optional": func() {
			newDecoder[struct {
				A int `job:"optional"`
				B int
			}]()
		},
		"after the rest": func() {
			newDecoder[struct {
				A []int `job:"rest"`
				B int
			}]()
		},
		"rest no slice": func() {
			newDecoder[struct {
				A int `job:"rest"`
			}]()
		},
		"unknown tag": func() {
			newDecoder[struct {
				A int `job:"maybe"`
			}]()
		},
		"channel": func() { newDecoder[chan int]() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			make()
		}()
	}
}

func TestModesFollowSidekiqsRules(t *testing.T) {
	q := func(weights ...int) Capsule {
		c := Capsule{Concurrency: 1}
		for i, w := range weights {
			c.Queues = append(c.Queues, QueueWeight{string(rune('a' + i)), w})
		}
		return c
	}
	for want, list := range map[Mode][]Capsule{
		Strict: {q(0), q(0, 0)}, Random: {q(1), q(1, 1)},
		Weighted: {q(2, 1), q(0, 1), q(1, 0), q(3)},
	} {
		for _, c := range list {
			if got := c.Mode(); got != want {
				t.Errorf("%v is %s, want %s", c.Queues, got, want)
			}
		}
	}
}

// Weighted is a shuffle of the weighted list without repetition: the first is
// drawn in proportion to its weight (docs/wire.md 5). Chi-square, p = 0.001.
func TestWeightedDrawsFollowTheWeights(t *testing.T) {
	c := Capsule{Queues: []QueueWeight{{"default", 8}, {"push", 6}, {"mailers", 2}, {"pull", 1}}}
	const n = 34_000
	first := map[byte]float64{}
	ahead := 0.0 // pull before default
	for _, d := range c.draws(n) {
		if len(d) != 4 {
			t.Fatalf("draw %q", d)
		}
		first[d[0]]++
		if strings.IndexByte(d, 4) < strings.IndexByte(d, 1) {
			ahead++
		}
	}
	chi := 0.0
	for q, w := range map[byte]float64{1: 8, 2: 6, 3: 2, 4: 1} {
		want := n * w / 17
		chi += (first[q] - want) * (first[q] - want) / want
	}
	if chi > 16.27 { // 3 degrees of freedom
		t.Errorf("chi-square %.1f, first %v", chi, first)
	}
	if share := ahead / n; share < 0.103 || share > 0.119 {
		t.Errorf("pull came before default in %.3f of the draws, want 1/9", share)
	}
}

type greeting struct {
	Name  string
	Times int `job:"optional"`
}

func (greeting) JobClass() string { return "Greeter" }

func TestHandleArgs(t *testing.T) {
	t.Run("a handler gets the struct that was pushed", func(t *testing.T) {
		mux, got := NewMux(), greeting{}
		HandleArgs(mux, func(_ context.Context, g greeting) error { got = g; return nil })
		if err := mux.Run(t.Context(), `{"class":"Greeter","args":["Ai",2]}`); err != nil {
			t.Fatal(err)
		}
		if want := (greeting{"Ai", 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("a pointer is refused when the program starts", func(t *testing.T) {
		defer func() {
			if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), "takes a struct") {
				t.Errorf("panic %v", v)
			}
		}()
		HandleArgs(NewMux(), func(context.Context, *greeting) error { return nil })
	})
}
