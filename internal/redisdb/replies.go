package redisdb

import (
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Answered reports whether err is an error that Redis sent. Then the command was not carried out.
func Answered(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && !errors.Is(err, redis.Nil)
}

// Rejected reports whether err is an error of Redis that concerns only this command: a key of it
// has a wrong type or is forbidden, or its script fails. The same command would fail again, and
// other commands would not. All other errors of Redis concern the server or the rights of its user:
// it loads its data, is a replica, is full, has too many clients, or wants a password.
func Rejected(err error) bool {
	switch {
	case !Answered(err):
		return false
	case redis.HasErrorPrefix(err, "WRONGTYPE"), ForbidsKey(err):
		return true
	}
	var reply redis.Error
	errors.As(err, &reply)
	text, usual := strings.CutPrefix(reply.Error(), "ERR ")
	return usual && !strings.HasPrefix(text, "max number of clients")
}

// ServesNobody reports whether err is an error of Redis that any other command would get too. There
// is no use in sending the next one at once.
func ServesNobody(err error) bool { return Answered(err) && !Rejected(err) }

// ForbidsKey reports whether Redis refused a command because its user may not use one of the keys.
// The command was not carried out. If the user may not use the command itself, the text of the
// error is another one (src/acl.c of 7.0 and 7.2).
func ForbidsKey(err error) bool {
	return redis.HasErrorPrefix(err, "NOPERM") &&
		(strings.Contains(err.Error(), "of the keys") ||
			strings.Contains(err.Error(), "access a key"))
}

// Settled reports whether an error of Connect would come again until somebody changes the settings,
// the rights or the server: Redis answered with an error that does not pass, or TLS failed.
func Settled(err error) bool {
	var old *versionError
	var single *noClusterError
	var reply redis.Error
	if errors.As(err, &reply) && Answered(err) {
		for _, passing := range []string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "BUSY",
			"TRYAGAIN", "MISCONF", "OOM", "max number of clients"} {
			if redis.HasErrorPrefix(reply, passing) {
				return false
			}
		}
		return true
	}
	return errors.As(err, &old) || errors.Is(err, ErrScript) || errors.As(err, &single) ||
		errors.Is(err, errCluster) ||
		strings.Contains(err.Error(), "x509:") || strings.Contains(err.Error(), "tls:")
}

// Unsent reports whether err means that the command never left this process.
func Unsent(err error) bool {
	var op *net.OpError
	return errors.Is(err, redis.ErrClosed) || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.Is(err, redis.ErrPoolExhausted) || (errors.As(err, &op) && op.Op == "dial")
}

// IsWrongType reports whether Redis refused a command because its key has a wrong type.
func IsWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// IsLoading reports whether Redis still loads its data after a start.
func IsLoading(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && redis.HasErrorPrefix(reply, "LOADING")
}
