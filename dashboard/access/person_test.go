package access_test

import (
	"testing"

	"github.com/kyujobs/kyu/dashboard/access"
)

func TestRole(t *testing.T) {
	t.Run("is read as it is written", func(t *testing.T) {
		for r := access.Viewer; r <= access.Admin; r++ {
			if got, err := access.ParseRole(r.String()); got != r || err != nil {
				t.Errorf("%v: %v %v", r, got, err)
			}
		}
	})
	t.Run("nobody and other names are no roles of persons", func(t *testing.T) {
		for _, name := range []string{"nobody", "", "Admin", "root"} {
			if got, err := access.ParseRole(name); got != access.Nobody || err == nil {
				t.Errorf("%q: %v %v", name, got, err)
			}
		}
	})
}

func TestPerson(t *testing.T) {
	t.Run("is nobody without a context that has one", func(t *testing.T) {
		if p := access.From(t.Context()); p != (access.Person{}) {
			t.Errorf("%+v", p)
		}
		want := access.Person{Name: "ada", Role: access.Operator}
		if p := access.From(access.With(t.Context(), want)); p != want {
			t.Errorf("%+v", p)
		}
	})
}
