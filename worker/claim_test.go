package worker

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// claiming is a capability whose claims write the JID to a key once.
var claiming = queue.Capability{Kind: "note",
	Claim: `if args[1] == 'no' then return 'no' end
if redis.call('HSETNX', keys[1], jid, 1) == 0 then redis.call('INCR', keys[1] .. ':again') end`}

func note(word string) queue.Effect {
	return queue.Effect{Kind: "note", Keys: []string{"kyu:note"}, Args: []string{word}}
}

// claims makes a bench whose jobs make the claim that their queue.Effect says, and note the result.
func claims(t *testing.T) (*bench, chan error) {
	b := newBench(t)
	b.store = b.server.Store(func(c *queue.Config) {
		c.Capabilities = []queue.Capability{claiming}
	})
	b.client = queue.NewClient(b.store)
	results := make(chan error, 10)
	b.mux.HandleJob("Job", func(ctx context.Context, j *queue.Job) error {
		word := "yes"
		if j.JID == "refused" {
			word = "no"
		}
		r, err := Claim(ctx, note(word))
		if r != nil {
			err = errors.New(r.Reason)
		}
		results <- err
		return nil
	})
	return b, results
}

// loseOne loses the reply of the first claim.
type loseOne struct{ lost atomic.Bool }

func (l *loseOne) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *loseOne) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if slices.Contains(cmd.Args(), any("kyu:note")) && !l.lost.Swap(true) {
			err = io.ErrUnexpectedEOF
			cmd.SetErr(err)
		}
		return err
	}
}

func (l *loseOne) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestClaim(t *testing.T) {
	t.Parallel()
	t.Run("is granted or refused to a running job", func(t *testing.T) {
		t.Parallel()
		b, results := claims(t)
		b.start()
		b.push("Job", nil, queue.Options{JID: "granted"})
		if err := <-results; err != nil {
			t.Error(err)
		}
		b.push("Job", nil, queue.Options{JID: "refused"})
		if err := <-results; err == nil || err.Error() != "no" {
			t.Error(err)
		}
	})
	t.Run("is repeated when its reply is lost", func(t *testing.T) {
		t.Parallel()
		b, results := claims(t)
		store := b.server.Store(func(c *queue.Config) {
			c.Capabilities = []queue.Capability{claiming}
			c.Hooks = []redis.Hook{new(loseOne)}
		})
		b.startOn(store)
		b.push("Job", nil, queue.Options{})
		if err := <-results; err != nil {
			t.Error(err)
		}
		if n := b.raw.Get(t.Context(), "kyu:note:again").Val(); n != "1" {
			t.Errorf("the claim was repeated %q times, want 1", n)
		}
	})
	t.Run("is granted outside of a worker", func(t *testing.T) {
		if r, err := Claim(t.Context(), note("no")); r != nil || err != nil {
			t.Error(r, err)
		}
	})
}
