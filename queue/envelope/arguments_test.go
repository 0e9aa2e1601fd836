package envelope

import (
	"reflect"
	"strings"
	"testing"
)

type mixed struct {
	A      int
	hidden string
	B      string   `job:"-"`
	C      string   `job:"optional"`
	D      []string `job:"rest"`
}

func TestValues(t *testing.T) {
	plan, err := PlanOf(reflect.TypeFor[mixed]())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from mixed
		want []any
	}{
		"leave out trailing optional zeros":     {mixed{A: 0, hidden: "h", B: "b"}, []any{0}},
		"have an optional argument that is set": {mixed{A: 1, C: "c"}, []any{1, "c"}},
		"have an optional zero before the rest": {mixed{D: []string{"d"}}, []any{0, "", "d"}},
		"have each element of the rest": {mixed{1, "", "", "c", []string{"d", "e"}},
			[]any{1, "c", "d", "e"}},
		"have a required zero":    {mixed{}, []any{0}},
		"leave out an empty rest": {mixed{A: 7, D: []string{}}, []any{7}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := plan.Values(reflect.ValueOf(c.from)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestPlanOf(t *testing.T) {
	for want, typ := range map[string]reflect.Type{
		"B comes after a field that takes the rest": reflect.TypeFor[struct {
			A []int `job:"rest"`
			B int
		}](),
		"A takes the rest but is not a slice": reflect.TypeFor[struct {
			A int `job:"rest"`
		}](),
		`A: unknown tag job:"maybe"`: reflect.TypeFor[struct {
			A int `job:"maybe"`
		}](),
		"B is required but comes after an optional one": reflect.TypeFor[struct {
			A int `job:"optional"`
			B int
		}](),
	} {
		t.Run("refuses: "+want, func(t *testing.T) {
			if _, err := PlanOf(typ); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		})
	}
}
