package redisdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
)

func TestOver(t *testing.T) {
	t.Run("is true from the deadline on, and false without one", func(t *testing.T) {
		past, stop := context.WithDeadline(t.Context(), time.Now())
		defer stop()
		future, end := context.WithTimeout(t.Context(), time.Hour)
		defer end()
		if !redisdb.Over(past) || redisdb.Over(future) || redisdb.Over(t.Context()) {
			t.Error(redisdb.Over(past), redisdb.Over(future), redisdb.Over(t.Context()))
		}
	})
	t.Run("does not mean that the context was cancelled", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		cancel()
		if redisdb.Over(ctx) {
			t.Error("the time is not over")
		}
	})
}
