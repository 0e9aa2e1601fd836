// Package access says who may use the dashboard, and what each person may do.
package access

import (
	"context"
	"fmt"
)

// Role says what a person may do. A greater role may do all that a smaller one may.
type Role int

const (
	Nobody   Role = iota // nothing
	Viewer               // look at all pages
	Operator             // change single jobs, pause queues, quiet processes
	Admin                // change all jobs that a filter chooses, stop processes
)

var roleNames = []string{"nobody", "viewer", "operator", "admin"}

// String returns the name of the role: "nobody", "viewer", "operator" or "admin".
func (r Role) String() string {
	if r < Nobody || r > Admin {
		return fmt.Sprintf("role %d", int(r))
	}
	return roleNames[r]
}

// ParseRole reads the name of a role that a person can have. Nobody is none of them.
func ParseRole(name string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if name == roleNames[r] {
			return r, nil
		}
	}
	return Nobody, fmt.Errorf("role %q: want viewer, operator or admin", name)
}

// Person is who sent a request.
type Person struct {
	Name string // for the audit
	Role Role
}

type personKey struct{}

// With returns a context of a person.
func With(ctx context.Context, p Person) context.Context {
	return context.WithValue(ctx, personKey{}, p)
}

// From returns the person of a context. Without one, it is nobody: the zero Person.
func From(ctx context.Context) Person {
	p, _ := ctx.Value(personKey{}).(Person)
	return p
}
