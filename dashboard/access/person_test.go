package access

import "testing"

func TestRole(t *testing.T) {
	t.Run("is read as it is written", func(t *testing.T) {
		for role, name := range map[Role]string{Viewer: "viewer", Operator: "operator",
			Admin: "admin"} {
			if got, err := ParseRole(name); err != nil || got != role || role.String() != name {
				t.Errorf("ParseRole(%q) = %v, %v", name, got, err)
			}
		}
	})
	t.Run("is no other word", func(t *testing.T) {
		for _, name := range []string{"", "nobody", "Admin", "admin ", "root", "3"} {
			if got, err := ParseRole(name); err == nil || got != Nobody {
				t.Errorf("ParseRole(%q) = %v, %v", name, got, err)
			}
		}
	})
}

func TestPerson(t *testing.T) {
	t.Run("is nobody in a context without one", func(t *testing.T) {
		if p := From(t.Context()); p != (Person{}) || p.Role != Nobody {
			t.Errorf("it is %v", p)
		}
	})
	t.Run("is carried by a context", func(t *testing.T) {
		want := Person{"alice", Operator}
		if p := From(With(t.Context(), want)); p != want {
			t.Errorf("it is %v", p)
		}
	})
}
