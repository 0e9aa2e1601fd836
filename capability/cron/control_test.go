package cron

import (
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestControl(t *testing.T) {
	c := newClaimed(t, Entry{Name: "a", Every: time.Minute, Class: "Job", Args: []any{1.0},
		NoOverlap: true}, Entry{Name: "b", Cron: "0 3 * * *", Class: "Job", Disabled: true})
	control, ctx := Control{c.store}, t.Context()
	show := func(t *testing.T, name string) Status {
		s, _, err := control.Show(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("lists entries with their state", func(t *testing.T) {
		list, err := control.List(ctx)
		if err != nil || len(list) != 2 || list[0].State != Active || list[1].State != Disabled ||
			list[0].Next.IsZero() || !list[1].Next.IsZero() || list[0].Schedule != "default" {
			t.Errorf("%+v %v", list, err)
		}
	})
	t.Run("pauses, and resumes without the slots of the pause", func(t *testing.T) {
		before := c.at(1)
		if err := control.Pause(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		same(t, "state", show(t, "a").State, Paused)
		if err := control.Resume(ctx, "a"); err != nil {
			t.Fatal(err)
		}
		same(t, "state", show(t, "a").State, Active)
		same(t, "a slot of the pause", c.claim(before), "past")
	})
	t.Run("runs an entry now, unless its last job is not over", func(t *testing.T) {
		jid, err := control.Run(ctx, "a")
		j := c.jobs("default")[0]
		if err != nil || j.JID != jid || string(j.Args) != "[1.0]" {
			t.Error(jid, string(j.Args), err)
		}
		var refused *queue.ClaimError
		if _, err := control.Run(ctx, "a"); !errors.As(err, &refused) ||
			refused.Reason != "skipped overlap" {
			t.Error(err)
		}
		_, runs, err := control.Show(ctx, "a")
		if err != nil || len(runs) != 2 || runs[1].JID != jid || !runs[1].Slot.IsZero() ||
			runs[0].Skipped != "overlap" || time.Since(runs[1].At) > time.Minute {
			t.Errorf("%+v %v", runs, err)
		}
		same(t, "who holds the lock", show(t, "a").Locked, jid)
	})
	t.Run("knows an entry whose schedule has no process", func(t *testing.T) {
		c.raw.HSet(ctx, "kyu:cron-owner:default", "seen", time.Now().Add(-time.Hour).UnixMilli())
		same(t, "state", show(t, "a").State, Unserved)
		if err := c.s.own(ctx); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("deletes only what its schedule does not have", func(t *testing.T) {
		if err := control.Delete(ctx, "a"); !errors.Is(err, ErrServed) {
			t.Error(err)
		}
		c.raw.HSet(ctx, "kyu:cron-owner:default", "names", `["b"]`)
		same(t, "state", show(t, "a").State, Orphan)
		if err := control.Delete(ctx, "a"); err != nil {
			t.Error(err)
		}
		if _, _, err := control.Show(ctx, "a"); !errors.Is(err, queue.ErrNotFound) {
			t.Error(err)
		}
		same(t, "keys", c.raw.Keys(ctx, "kyu:cron:a*").Val(), []string{})
	})
	t.Run("says that there is no such entry", func(t *testing.T) {
		_, err := control.Run(ctx, "nobody")
		for _, err := range []error{err, control.Pause(ctx, "nobody"),
			control.Delete(ctx, "nobody")} {
			if !errors.Is(err, queue.ErrNotFound) {
				t.Error(err)
			}
		}
	})
}
