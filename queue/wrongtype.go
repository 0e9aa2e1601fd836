package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// WrongTypeError says that jobs stay where they are, because the keys to which they would go have a
// wrong type: another program wrote them. No job is lost. It is an ErrWrongType.
type WrongTypeError struct {
	Keys []string // the keys of a wrong type
	Jobs int      // how many jobs stay
}

func (e *WrongTypeError) Error() string {
	return fmt.Sprintf("%d jobs stay where they are, because a key has the wrong type: %s. "+
		"Another program wrote it: RENAME it, and try again", e.Jobs, strings.Join(e.Keys, ", "))
}

// Is reports whether target is ErrWrongType.
func (e *WrongTypeError) Is(target error) bool { return target == ErrWrongType }

// wrongTypes returns the error for jobs that stay. places are the keys that they need, and the
// types of these. The error names the keys that have another type, or all if Redis does not say.
func (s *Store) wrongTypes(ctx context.Context, places map[string]string, jobs int) error {
	pipe := s.db.Shared.Pipeline()
	types := map[string]*redis.StatusCmd{}
	for key := range places {
		types[key] = pipe.Type(ctx, key)
	}
	_, failed := pipe.Exec(ctx)
	wrong := &WrongTypeError{Jobs: jobs}
	for key, want := range places {
		if holds := types[key].Val(); failed != nil || holds != want && holds != "none" {
			wrong.Keys = append(wrong.Keys, key)
		}
	}
	slices.Sort(wrong.Keys)
	return wrong
}

// Refusals splits an error, which may be of errors.Join, into the keys of its WrongTypeErrors, each
// once, and its other errors. Both are nil if there are none.
func Refusals(err error) (keys []string, rest []error) {
	switch e := err.(type) {
	case nil:
	case *WrongTypeError:
		keys = e.Keys
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			k, r := Refusals(part)
			keys, rest = append(keys, k...), append(rest, r...)
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
	default:
		rest = []error{err}
	}
	return keys, rest
}
