package envelope

import (
	"fmt"
	"reflect"
)

// Plan says which exported fields of a struct type are the positional arguments of a job, in
// order. A push and a handler that share the struct share this plan, so order and number cannot
// disagree.
type Plan struct {
	Fields   []int // indexes of the struct's fields
	Required int   // so many must be there; those after it are optional
	Rest     bool  // the last field, a slice, takes all arguments that are left
}

// PlanOf reads the plan of a struct type. A tag `job:"optional"` lets trailing arguments be
// missing, `job:"rest"` on a last slice field takes all that are left, and `job:"-"` leaves a field
// out. The error names the field that breaks these rules.
func PlanOf(t reflect.Type) (p Plan, err error) {
	p.Fields = []int{}
	optional := false
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("job")
		switch {
		case !f.IsExported() || tag == "-":
			continue
		case p.Rest:
			return p, fmt.Errorf("%s.%s comes after a field that takes the rest", t, f.Name)
		case tag == "rest" && f.Type.Kind() != reflect.Slice:
			return p, fmt.Errorf("%s.%s takes the rest but is no slice", t, f.Name)
		case tag == "rest":
			p.Rest = true
		case tag == "optional":
			optional = true
		case tag != "":
			return p, fmt.Errorf("%s.%s: unknown tag job:%q", t, f.Name, tag)
		case optional:
			return p, fmt.Errorf("%s.%s is required but comes after an optional one", t, f.Name)
		default:
			p.Required++
		}
		p.Fields = append(p.Fields, i)
	}
	return p, nil
}

// Values lists the arguments of a struct value. Trailing optional ones that are zero are left
// out, as a Ruby caller leaves out arguments that have a default.
func (p Plan) Values(v reflect.Value) []any {
	list, keep := []any{}, 0
	for n, i := range p.Fields {
		f := v.Field(i)
		if p.Rest && n == len(p.Fields)-1 {
			for k := range f.Len() {
				list = append(list, f.Index(k).Interface())
			}
			if f.Len() > 0 {
				keep = len(list)
			}
			break
		}
		list = append(list, f.Interface())
		if n < p.Required || !f.IsZero() {
			keep = len(list)
		}
	}
	return list[:keep]
}
