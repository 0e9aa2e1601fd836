package redisdb

import (
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// refusal says in which way a node of a cluster refused a command. It has not run the command.
type refusal int

const (
	noRefusal refusal = iota
	moved             // another node has the slot (MOVED)
	moving            // the slot, or some of the keys, are on their way (ASK, TRYAGAIN)
	unserved          // the node does not serve the slot now (CLUSTERDOWN, MASTERDOWN, READONLY)
)

// readRefusal classifies the error of a command. place is the slot that MOVED names, and the
// endpoint of the node that has it.
func readRefusal(err error) (r refusal, place string) {
	var reply redis.Error
	if err == nil || !errors.As(err, &reply) {
		return noRefusal, ""
	}
	text := reply.Error()
	word, rest, _ := strings.Cut(text, " ")
	switch word {
	case "MOVED":
		return moved, rest
	case "ASK", "TRYAGAIN":
		return moving, ""
	case "CLUSTERDOWN", "MASTERDOWN", "READONLY", "UNBLOCKED":
		return unserved, ""
	default:
		return noRefusal, ""
	}
}

// Elsewhere reports whether a node of a cluster refused a command, without running it, because it
// does not serve the slot. A connection that the caller holds leads to the wrong node then: the
// caller takes another one.
func Elsewhere(err error) bool {
	r, _ := readRefusal(err)
	return r == moved || r == unserved
}

// Moved reports whether a node refused a command, without running it, because another node has the
// slot. On another connection, the command can be sent again at once.
func Moved(err error) bool {
	r, _ := readRefusal(err)
	return r == moved
}

// The bounds within which a refused command is sent again.
const (
	mostMoves  = 5                      // times after MOVED
	mostWaits  = 16                     // times while the slot moves: 2.5 s in all
	firstPause = 10 * time.Millisecond  // while the slot moves, doubled each time
	mostPause  = 200 * time.Millisecond // up to this
)

// retry decides whether a command that was refused is sent again.
type retry struct {
	moves, waits int
	last         string // the text of the last MOVED
}

// next returns whether a command with that error is sent again, and after how long.
func (t *retry) next(err error) (pause time.Duration, again bool) {
	switch r, _ := readRefusal(err); r {
	case moved:
		// The same answer twice comes from the same node: its caller holds the connection.
		if err.Error() == t.last || t.moves == mostMoves {
			return 0, false
		}
		t.last = err.Error()
		t.moves++
		return time.Duration(t.moves-1) * firstPause, true
	case moving:
		if t.waits == mostWaits {
			return 0, false
		}
		t.waits++
		return min(firstPause<<(t.waits-1), mostPause), true
	default:
		return 0, false
	}
}

// refusedTail returns the index from which on all commands of a pipeline were refused and have not
// run, and the error of the first of these. Sent again, they keep their order. If a command behind
// a refused one has run, or nobody knows whether it has, the index is len(cmds).
func refusedTail(cmds []redis.Cmder) (from int, err error) {
	for from = len(cmds); from > 0; from-- {
		e := cmds[from-1].Err()
		if r, _ := readRefusal(e); r == noRefusal {
			break
		}
		err = e
	}
	for _, c := range cmds[:from] {
		if r, _ := readRefusal(c.Err()); r != noRefusal {
			return len(cmds), c.Err()
		}
	}
	return from, err
}

// refusedTransaction returns the refusal because of which a whole transaction was not run, or nil.
func refusedTransaction(cmds []redis.Cmder) error {
	end := cmds[len(cmds)-1].Err()
	if r, _ := readRefusal(end); r != noRefusal {
		return end
	}
	if !redis.HasErrorPrefix(end, "EXECABORT") {
		return nil
	}
	for _, c := range cmds {
		if r, _ := readRefusal(c.Err()); r != noRefusal {
			return c.Err()
		}
	}
	return nil
}
