package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/kyujobs/kyu/internal/redisdb"
)

var (
	// ErrLeaseLost says that a reclaimer has declared this identity dead. The identity can take no
	// more jobs. It can settle those of its jobs that have not been reclaimed yet.
	ErrLeaseLost = errors.New("the lease of this identity is lost")
	// ErrUnknown says that a command was sent and no reply came: Redis may have carried it out.
	ErrUnknown = errors.New("the outcome is unknown: no reply from Redis")
	// ErrFull says that Redis is over its maxmemory and refuses a doorbell, because a doorbell is a
	// write. Fetch still works.
	ErrFull = errors.New("over maxmemory: Redis refuses writes")
	// ErrWrongType says that a key of Kyu has a wrong type. Jobs that need the key wait.
	ErrWrongType = errors.New("a key holds a wrong type")
	// ErrNotFound says that a job, an entry of a set, or a process does not exist, or no longer.
	ErrNotFound = errors.New("not found")
)

// InvalidError says which part of a push is wrong, and the reason. Nothing was pushed.
type InvalidError struct {
	Field  string // of the payload: "class", "args"
	Reason string
}

func (e *InvalidError) Error() string { return fmt.Sprintf("push: %s: %s", e.Field, e.Reason) }

// TooLargeError says that a payload is larger than Config.MaxPayload. Nothing was pushed.
type TooLargeError struct {
	Class       string
	Size, Limit int // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("push: the payload of a %s job is %d bytes, over the limit of %d: pass a "+
		"reference instead of the data, or raise MaxPayload", e.Class, e.Size, e.Limit)
}

// pushError returns the error of a push that was refused or not sent, or whose outcome is unknown.
func pushError(err error) error {
	switch {
	case err == nil:
		return nil
	case redisdb.Answered(err):
		return fmt.Errorf("push: Redis refused it, nothing was pushed: %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// go-redis checks the context only while it waits for a connection. While it waits for a
		// reply, the connection's deadline ends the wait with an error of the network.
		return fmt.Errorf("push: no connection was free in time, nothing was pushed: %w", err)
	case redisdb.Unsent(err):
		return fmt.Errorf("push: Redis is not reachable, nothing was pushed: %w", err)
	default:
		return fmt.Errorf("push: %w (%w); repeat it with the same JID and Idempotent to be safe",
			ErrUnknown, err)
	}
}
