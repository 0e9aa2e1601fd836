package envelope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Decoder decodes a job's positional arguments into a Go value of one type. Each exported field of
// a struct takes one argument, in order, by the rules of PlanOf. A slice, an array, and a type with
// its own UnmarshalJSON take the array of all arguments. Any other type takes a single argument.
type Decoder struct {
	plan  Plan // without fields if the type is no struct
	whole bool // the type takes the array of all arguments
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// NewDecoder returns a Decoder for the type A. The error gives the reason if A cannot hold
// arguments.
func NewDecoder[A any]() (*Decoder, error) {
	t, d := reflect.TypeFor[A](), new(Decoder)
	switch {
	case reflect.PointerTo(t).Implements(unmarshaler), t.Kind() == reflect.Slice,
		t.Kind() == reflect.Array:
		d.whole = true
	case t.Kind() == reflect.Struct:
		var err error
		if d.plan, err = PlanOf(t); err != nil {
			return nil, err
		}
	case t.Kind() == reflect.Chan, t.Kind() == reflect.Func:
		return nil, fmt.Errorf("arguments cannot be decoded into %s", t)
	}
	return d, nil
}

// Decode decodes args, a JSON array, into the A to which out points. The error names the argument
// that does not fit.
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
	if d.plan.fields == nil {
		if len(list) != 1 {
			return fmt.Errorf("wrong number of arguments (given %d, expected 1)", len(list))
		}
		return json.Unmarshal(list[0], out)
	}
	if err := d.arity(len(list)); err != nil {
		return err
	}
	v := reflect.ValueOf(out).Elem()
	for n, i := range d.plan.fields {
		raw := json.RawMessage("null")
		switch {
		case d.plan.rest && n == len(d.plan.fields)-1:
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

// arity checks the number of arguments. The text of its error is Ruby's.
func (d *Decoder) arity(given int) error {
	least, most := d.plan.required, len(d.plan.fields)
	switch {
	case given >= least && (d.plan.rest || given <= most):
		return nil
	case d.plan.rest:
		return fmt.Errorf("wrong number of arguments (given %d, expected %d+)", given, least)
	case least == most:
		return fmt.Errorf("wrong number of arguments (given %d, expected %d)", given, most)
	default:
		return fmt.Errorf("wrong number of arguments (given %d, expected %d..%d)", given, least,
			most)
	}
}

func rawBytes(list []json.RawMessage) [][]byte {
	out := make([][]byte, len(list))
	for i, r := range list {
		out[i] = r
	}
	return out
}
