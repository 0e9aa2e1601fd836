package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Decoder turns a job's positional arguments into a Go value of one type.
//
// For a struct each exported field takes one argument, in order. A tag
// `job:"optional"` lets trailing arguments be missing, `job:"rest"` on a last
// slice field takes all that are left, and `job:"-"` leaves a field out.
type Decoder struct {
	fields   []int // indexes of the struct's fields; nil: not a struct
	required int
	rest     bool // the last field takes all that are left
	whole    bool // the type takes the array as it is
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// NewDecoder makes a Decoder for an A. The error says why no arguments can be decoded into one.
func NewDecoder[A any]() (*Decoder, error) {
	t, d := reflect.TypeFor[A](), new(Decoder)
	switch {
	case reflect.PointerTo(t).Implements(unmarshaler), t.Kind() == reflect.Slice,
		t.Kind() == reflect.Array:
		d.whole = true
	case t.Kind() == reflect.Struct:
		plan, err := PlanOf(t)
		if err != nil {
			return nil, err
		}
		d.fields, d.required, d.rest = plan.Fields, plan.Required, plan.Rest
	case t.Kind() == reflect.Chan, t.Kind() == reflect.Func:
		return nil, fmt.Errorf("arguments cannot be decoded into %s", t)
	}
	return d, nil
}

// Decode reads args, a JSON array, into the A that out points to.
func (d *Decoder) Decode(args json.RawMessage, out any) error {
	raw, asIs := out.(*[]json.RawMessage)
	if d.whole && !asIs {
		return json.Unmarshal(args, out)
	}
	list, err := SplitArgs(args)
	if err != nil {
		return err
	}
	if asIs {
		*raw = list
		return nil
	}
	if d.fields == nil {
		if len(list) != 1 {
			return fmt.Errorf("wrong number of arguments (given %d, expected 1)", len(list))
		}
		return json.Unmarshal(list[0], out)
	}
	if err := d.arity(len(list)); err != nil {
		return err
	}
	v := reflect.ValueOf(out).Elem()
	for n, i := range d.fields {
		raw := json.RawMessage("null")
		switch {
		case d.rest && n == len(d.fields)-1:
			rest := rawBytes(list[min(n, len(list)):])
			raw = append(append([]byte{'['}, bytes.Join(rest, []byte{','})...), ']')
		case n < len(list):
			raw = list[n]
		}
		if err := json.Unmarshal(raw, v.Field(i).Addr().Interface()); err != nil {
			return fmt.Errorf("argument %d (%s): %w", n+1, v.Type().Field(i).Name, err)
		}
	}
	return nil
}

// arity refuses a wrong number of arguments in the words of Ruby.
func (d *Decoder) arity(given int) error {
	most := len(d.fields)
	switch {
	case given >= d.required && (d.rest || given <= most):
		return nil
	case d.rest:
		return fmt.Errorf("wrong number of arguments (given %d, expected %d+)", given, d.required)
	case d.required == most:
		return fmt.Errorf("wrong number of arguments (given %d, expected %d)", given, most)
	default:
		return fmt.Errorf("wrong number of arguments (given %d, expected %d..%d)", given,
			d.required, most)
	}
}

func rawBytes(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, r := range list {
		out[i] = r
	}
	return out
}
