package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/kyujobs/kyu/internal/redisdb"
)

var (
	// ErrLeaseLost says that this identity was declared dead. It can take nothing any more,
	// and settle only what nobody has taken from it yet.
	ErrLeaseLost = errors.New("the lease of this identity is lost")
	// ErrUnknown says that Redis may or may not have done what it was asked:
	// the command was sent and no reply came.
	ErrUnknown = errors.New("the outcome is unknown: no reply from Redis")
	// ErrFull says that Redis is over its maxmemory and refuses a doorbell, which
	// counts as a write. Fetch still works.
	ErrFull = errors.New("over maxmemory: Redis refuses writes")
	// ErrWrongType says that a key holds something that is not Kyu's: its jobs wait.
	ErrWrongType = errors.New("a key holds a wrong type")
	// ErrNotFound says that a job, set entry or process is not (or no longer) there.
	ErrNotFound = errors.New("not found")
)

// InvalidError says which part of a push is wrong and why. Nothing was pushed.
type InvalidError struct {
	Field  string
	Reason string
}

func (e *InvalidError) Error() string { return fmt.Sprintf("push: %s: %s", e.Field, e.Reason) }

// TooLargeError refuses a payload over the limit. Nothing was pushed.
type TooLargeError struct {
	Class       string
	Size, Limit int // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("push: the payload of a %s job is %d bytes, over the limit of %d: pass a "+
		"reference instead of the data, or raise MaxPayload", e.Class, e.Size, e.Limit)
}

// pushError gives a failed push its meaning: refused, not sent, or unknown.
func pushError(err error) error {
	switch {
	case err == nil:
		return nil
	case redisdb.Answered(err):
		return fmt.Errorf("push: Redis refused it, nothing was pushed: %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Of go-redis only what waits for a connection looks at the context. What waits
		// for a reply ends by the connection's deadline, with an error of the network.
		return fmt.Errorf("push: no connection was free in time, nothing was pushed: %w", err)
	case redisdb.Unsent(err):
		return fmt.Errorf("push: Redis is not reachable, nothing was pushed: %w", err)
	default:
		return fmt.Errorf("push: %w (%w); repeat it with the same JID and Idempotent to be safe",
			ErrUnknown, err)
	}
}
