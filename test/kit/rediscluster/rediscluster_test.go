package rediscluster

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCluster(t *testing.T) {
	c := Start(t)
	owner := c.Owner("a")
	c.Store("a")
	t.Run("moves a slot with its keys", func(t *testing.T) {
		if err := owner.Raw.Set(ctx, "{a}:x", 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		to := c.Other("a")
		c.MoveSlot("a", to)
		if n := to.Raw.Exists(ctx, "{a}:x").Val(); n != 1 || c.Owner("a") != to {
			t.Errorf("%d of 1 keys are there, the owner is %s", n, c.Owner("a").Addr)
		}
	})
	t.Run("makes a replica the master", func(t *testing.T) {
		old := c.Failover("a")
		if c.Owner("a") == old {
			t.Error("the owner is the same")
		}
	})
	t.Run("replaces a master that is killed", func(t *testing.T) {
		c.UntilHealthy()
		old := c.Owner("a")
		old.Kill()
		c.UntilMoved("a", old)
		old.Restart()
		c.UntilHealthy()
	})
}
