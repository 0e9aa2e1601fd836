package redisdb_test

import (
	"errors"
	"testing"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// errorsOfRedis says which errors concern only one command.
var errorsOfRedis = map[string]bool{
	"WRONGTYPE Operation against a key holding the wrong kind of value " +
		"script: 5ca1ab1e": true,
	"ERR user_script:9: attempt to index a nil value script: 5ca1ab1e":                true,
	"NOPERM this user has no permissions to access one of the keys used as arguments": true,
	"NOPERM No permissions to access a key":                                           true,

	"NOPERM this user has no permissions to run the 'evalsha' command": false,
	"ERR max number of clients reached":                                false,
	"NOAUTH Authentication required.":                                  false,
	"WRONGPASS invalid username-password pair or user is disabled.":    false,
	"OOM command not allowed when used memory > 'maxmemory'.":          false,
	"READONLY You can't write against a read only replica.":            false,
	"LOADING Redis is loading the dataset in memory":                   false,
	"MASTERDOWN Link with MASTER is down":                              false,
	"NOREPLICAS Not enough good replicas to write.":                    false,
	"BUSY Redis is busy running a script.":                             false,
	"UNBLOCKED force unblock from blocking operation":                  false,
	"EXECABORT Transaction discarded because of previous errors.":      false,
	"CLUSTERDOWN The cluster is down":                                  false,
	"MISCONF Errors writing to the AOF file: No space left on device":  false,
	"TRYAGAIN Multiple keys request during rehashing of slot":          false,
	"NOSCRIPT No matching script. Please use EVAL.":                    false,
}

func TestRejected(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client()
	t.Run("tells errors of one command from errors of the server", func(t *testing.T) {
		for text, want := range errorsOfRedis {
			err := c.Eval(t.Context(), "return redis.error_reply(ARGV[1])", nil, text).Err()
			if err == nil || redisdb.Rejected(err) != want {
				t.Errorf("%v: Rejected is %t, want %t", err, !want, want)
			}
		}
	})
	t.Run("holds for a forbidden key, not for a forbidden command", func(t *testing.T) {
		for rule, want := range map[string]bool{"~other": true, "~*": false} {
			args := []any{"ACL", "SETUSER", "limited", "reset", "on", ">secret",
				"+eval", "+info", rule}
			if want {
				args = append(args, "+lpush")
			}
			if err := c.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
			limited := redis.NewClient(&redis.Options{Addr: s.Addr, Username: "limited",
				Password: "secret", DisableIdentity: true, Protocol: 2, MaxRetries: -1})
			defer limited.Close()
			if err := limited.LPush(t.Context(), "queue:a",
				"x").Err(); redisdb.Rejected(err) != want {
				t.Errorf("with %s: %v: Rejected is %t, want %t", rule, err, !want, want)
			}
		}
	})
	t.Run("does not hold without an error of Redis", func(t *testing.T) {
		for _, err := range []error{redis.Nil, errors.New("read: reset"), nil} {
			if redisdb.Rejected(err) {
				t.Errorf("%v counts as rejected", err)
			}
		}
	})
}
