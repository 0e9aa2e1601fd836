package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// answered is an error that Redis sends.
type answered string

func (e answered) Error() string { return string(e) }
func (answered) RedisError()     {}

var _ redis.Error = answered("")

func TestFateOf(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		err   error
		ended bool
		want  fate
	}{
		"no error is stored":        {nil, false, fateStored},
		"a full Redis is passed by": {pushError(answered("OOM x")), false, fateElsewhere},
		"a replica is passed by": {pushError(answered("READONLY x")), false,
			fateElsewhere},
		"a Redis that loads is passed by": {pushError(answered("LOADING x")), false,
			fateElsewhere},
		"a cluster that is down, too": {pushError(answered("CLUSTERDOWN x")), false,
			fateElsewhere},
		"a slot that moves, too": {pushError(answered("TRYAGAIN x")), false,
			fateElsewhere},
		"a refused connection, too": {pushError(dial), false, fateElsewhere},
		"a full pool, too": {pushError(redis.ErrPoolTimeout), false,
			fateElsewhere},
		"a shard that is left out, too": {fmt.Errorf("%w: x", ErrAway), false, fateElsewhere},
		"a lost reply is unknown":       {pushError(errors.New("EOF")), false, fateUnknown},
		"too few replicas are unknown": {fmt.Errorf("%w: OOM %w", ErrUnknown,
			answered("OOM x")), false, fateUnknown},
		"a wrong type is the job's": {pushError(answered("WRONGTYPE x")), false,
			fateRefused},
		"an error of a script is the job's": {pushError(answered("ERR x")), false, fateRefused},
		"a wrong claim is the job's":        {&InvalidError{"claims", "x"}, false, fateRefused},
		"a reply that nobody understands":   {errors.New("a refusal is []"), false, fateRefused},
		"a caller that went away":           {pushError(context.Canceled), true, fateRefused},
		"a caller whose time is over": {pushError(context.DeadlineExceeded), true,
			fateRefused},
		"an unknown outcome at its end": {pushError(errors.New("EOF")), true, fateUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fateOf(c.err, c.ended); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}

func TestRest(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: 100 * time.Millisecond,
		2: 200 * time.Millisecond, 5: 1600 * time.Millisecond, 6: 2 * time.Second,
		1000: 2 * time.Second} {
		t.Run(fmt.Sprintf("after %d failures", failures), func(t *testing.T) {
			if got := rest(failures, 0); got != want {
				t.Errorf("%v, want %v", got, want)
			}
			if got := rest(failures, 0.999999); got < want/2 || got >= want {
				t.Errorf("%v, want from half of %v on", got, want)
			}
		})
	}
}
