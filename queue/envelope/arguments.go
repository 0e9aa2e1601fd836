package envelope

import (
	"fmt"
	"reflect"
)

// Plan maps the exported fields of a struct type to the positional arguments of a job, in order.
// A push and a handler use the same struct and the same plan, so the order and number of
// arguments agree.
type Plan struct {
	Fields   []int // indexes of the fields that are arguments
	Required int   // number of arguments that must be given; later ones are optional
	Rest     bool  // the last field, a slice, takes all further arguments
}

// PlanOf reads the plan of a struct type. The tag `job:"optional"` lets trailing arguments be
// missing, `job:"rest"` makes the last field, a slice, take all further arguments, and `job:"-"`
// makes a field no argument. The error names the field that breaks these rules.
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
			return p, fmt.Errorf("%s.%s takes the rest but is not a slice", t, f.Name)
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

// Values lists the arguments of a struct value, without trailing optional ones that are zero: a
// Ruby method then uses its defaults.
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
