package queue

import (
	"fmt"
	"slices"
	"strings"
)

// WrongTypeError says that jobs stay where they are, because keys that they would go to
// hold something else: another program wrote it. Nothing was taken away.
type WrongTypeError struct {
	Keys []string
	Jobs int // that stay
}

func (e *WrongTypeError) Error() string {
	return fmt.Sprintf("%d jobs stay where they are: %s: the wrong type, so another program wrote "+
		"it: RENAME the key away, and try again", e.Jobs, strings.Join(e.Keys, ", "))
}

// Is makes it an ErrWrongType.
func (e *WrongTypeError) Is(target error) bool { return target == ErrWrongType }

// Refusals parts an error, as made by errors.Join, into the keys whose wrong type kept
// jobs where they are, each once, and the rest of it, nil if there is none.
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
