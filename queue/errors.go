package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
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

// VersionError refuses a server that is too old.
type VersionError struct{ Version string }

func (e *VersionError) Error() string {
	return "this is Redis " + e.Version + ", but 7.0 or newer is needed: its scripts can then " +
		"drain a full Redis"
}

// Answered reports whether err is an error that Redis sent: the command was not carried out.
func Answered(err error) bool { return isReply(err) }

// isReply reports whether err is an error that Redis sent, not one of the way
// to it.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !errors.Is(err, redis.Nil)
}

// Rejected reports whether err is an answer of Redis to this very command: it, and likely no
// other, would be answered so again, as a key of it has a wrong type or is forbidden, or a
// script ends in an error. All other answers are about the server or our rights on it: it
// loads its data, is a replica, is full, has too many clients, wants a password.
func Rejected(err error) bool {
	switch {
	case !isReply(err):
		return false
	case redis.HasErrorPrefix(err, "WRONGTYPE"), forbidsKey(err):
		return true
	}
	var reply redis.Error
	errors.As(err, &reply)
	text, usual := strings.CutPrefix(reply.Error(), "ERR ")
	return usual && !strings.HasPrefix(text, "max number of clients")
}

// ServesNobody reports whether err is an answer of Redis that any other command would get too:
// there is no use in asking for more at once.
func ServesNobody(err error) bool { return isReply(err) && !Rejected(err) }

// forbidsKey reports whether Redis refused a call, unread, as its user may not touch a key of
// it. To forbid the command itself Redis has other words (src/acl.c of 7.0 and 7.2).
func forbidsKey(err error) bool {
	return redis.HasErrorPrefix(err, "NOPERM") &&
		(strings.Contains(err.Error(), "of the keys") ||
			strings.Contains(err.Error(), "access a key"))
}

// unsent reports whether err means that the command never left this process.
func unsent(err error) bool {
	var op *net.OpError
	return errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.Is(err, redis.ErrPoolExhausted) || (errors.As(err, &op) && op.Op == "dial")
}

// pushError gives a failed push its meaning: refused, not sent, or unknown.
func pushError(err error) error {
	switch {
	case err == nil:
		return nil
	case isReply(err):
		return fmt.Errorf("push: Redis refused it, nothing was pushed: %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// Of go-redis only what waits for a connection looks at the context. What waits
		// for a reply ends by the connection's deadline, with an error of the network.
		return fmt.Errorf("push: no connection was free in time, nothing was pushed: %w", err)
	case unsent(err):
		return fmt.Errorf("push: Redis is not reachable, nothing was pushed: %w", err)
	default:
		return fmt.Errorf("push: %w (%w); repeat it with the same JID and Idempotent to be safe",
			ErrUnknown, err)
	}
}

// explain adds to an error of the first contact what to do about it.
func explain(err error, addr string) error {
	text := err.Error()
	var old *VersionError
	switch {
	case errors.As(err, &old), errors.Is(err, errCapability):
		return fmt.Errorf("the Redis at %s: %w", addr, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the Redis at %s does not answer: %w", addr, err)
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "invalid password"):
		return fmt.Errorf("the Redis at %s refuses the user or password: check REDIS_URL, "+
			"REDIS_USER and REDIS_PASSWORD: %w", addr, err)
	case strings.Contains(text, "NOAUTH"):
		return fmt.Errorf("the Redis at %s wants a password: set it in REDIS_URL or "+
			"REDIS_PASSWORD: %w", addr, err)
	case strings.Contains(text, "NOPERM"):
		return fmt.Errorf("the Redis at %s: the user lacks a permission: see the ACL rule in "+
			"docs/redis.md: %w", addr, err)
	case strings.Contains(text, "all sentinels"):
		return fmt.Errorf("no Sentinel names the Redis %s: do they run, and are REDIS_SENTINELS "+
			"and REDIS_SENTINEL_MASTER right? %w", addr, err)
	case strings.Contains(text, "DB index"):
		return fmt.Errorf("the Redis at %s has no such database number: check REDIS_DB or the "+
			"path in REDIS_URL: %w", addr, err)
	default:
		return fmt.Errorf("cannot reach Redis at %s: is it running, and is REDIS_URL right? %w",
			addr, err)
	}
}
