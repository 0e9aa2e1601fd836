package envelope

import (
	"fmt"
	"reflect"
)

// Plan lists the exported fields of a struct type that are the positional arguments of a job, in
// order. A push and a handler that share the struct share the plan, so they agree on the order and
// the number of arguments.
type Plan struct {
	fields   []int // indexes of the struct's fields
	required int   // number of required arguments; the others are optional
	rest     bool  // the last field, a slice, takes all remaining arguments
}

// PlanOf returns the plan of a struct type. With the tag `job:"optional"` a trailing argument may
// be missing; a last field with `job:"rest"`, a slice, takes all remaining arguments; a field with
// `job:"-"` is no argument. The error names the field that breaks these rules.
func PlanOf(t reflect.Type) (p Plan, err error) {
	p.fields = []int{}
	optional := false
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("job")
		switch {
		case !f.IsExported() || tag == "-":
			continue
		case p.rest:
			return p, fmt.Errorf("%s.%s comes after a field that takes the rest", t, f.Name)
		case tag == "rest" && f.Type.Kind() != reflect.Slice:
			return p, fmt.Errorf("%s.%s takes the rest but is not a slice", t, f.Name)
		case tag == "rest":
			p.rest = true
		case tag == "optional":
			optional = true
		case tag != "":
			return p, fmt.Errorf("%s.%s: unknown tag job:%q", t, f.Name, tag)
		case optional:
			return p, fmt.Errorf("%s.%s is required but comes after an optional one", t, f.Name)
		default:
			p.required++
		}
		p.fields = append(p.fields, i)
	}
	return p, nil
}

// Values returns the arguments of a struct value. Trailing optional arguments that are zero are
// left out, as a Ruby caller leaves out arguments that have a default.
func (p Plan) Values(v reflect.Value) []any {
	list, keep := []any{}, 0
	for n, i := range p.fields {
		f := v.Field(i)
		if p.rest && n == len(p.fields)-1 {
			for k := range f.Len() {
				list = append(list, f.Index(k).Interface())
			}
			if f.Len() > 0 {
				keep = len(list)
			}
			break
		}
		list = append(list, f.Interface())
		if n < p.required || !f.IsZero() {
			keep = len(list)
		}
	}
	return list[:keep]
}
