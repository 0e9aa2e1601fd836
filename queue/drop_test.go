package queue_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestJobSetEffects(t *testing.T) {
	f := newNoted(t)
	in := inspect.New(f.store)
	for name, set := range map[string]*inspect.JobSet{"retry": in.RetrySet(),
		"schedule": in.ScheduleSet(), "dead": in.DeadSet(), "kyu:hold:J": in.HoldSet("J")} {
		t.Run("run once for entries that are deleted from "+name, func(t *testing.T) {
			f := f.in(t)
			f.put(name, note("1", "yes"), note("2", ""), note("3", "yes"), "no job")
			list := f.page(set, 10)
			slices.SortFunc(list, func(a, b queue.Entry) int {
				return strings.Compare(a.Raw, b.Raw)
			})
			f.raw.ZRem(t.Context(), name, note("3", "yes")) // as a poller may do
			for _, want := range []int{3, 0} {
				if n, err := set.Delete(t.Context(), list...); n != want || err != nil {
					t.Errorf("deleted %d, want %d, %v", n, want, err)
				}
			}
			f.noted("1 delete")
		})
		if name == "dead" {
			continue
		}
		t.Run("run for entries that are killed in "+name, func(t *testing.T) {
			f := f.in(t)
			f.put(name, note("1", "yes"), note("2", ""), "no job")
			if n, err := set.Kill(t.Context(), f.page(set, 10)...); n != 3 || err != nil {
				t.Errorf("killed %d, %v", n, err)
			}
			f.at("dead=3")
			f.noted("1 dead")
			f.raw.Del(t.Context(), "dead")
		})
	}
	t.Run("do not run for an entry that stays because of a wrong type", func(t *testing.T) {
		f := f.in(t)
		f.put("retry", note("1", "yes"))
		f.spoil("dead")
		var refused *queue.WrongTypeError
		n, err := f.store.RetrySet().Kill(t.Context(), f.page(in.RetrySet(), 1)...)
		if n != 0 || !errors.As(err, &refused) {
			t.Errorf("killed %d, %v", n, err)
		}
		f.noted()
		f.at("dead=0 retry=1")
	})
}

func TestClearEffects(t *testing.T) {
	f := newNoted(t)
	var many, want []string
	for i := range 150 {
		many = append(many, note(fmt.Sprint("j", i), "yes"))
		want = append(want, fmt.Sprint("j", i, " delete"))
	}
	t.Run("run for each job of a set", func(t *testing.T) {
		f := f.in(t)
		f.put("dead", many...)
		if err := f.store.DeadSet().Clear(t.Context()); err != nil {
			t.Error(err)
		}
		f.noted(want...)
	})
	t.Run("run once for a job of a queue", func(t *testing.T) {
		f := f.in(t)
		f.put("queue:a", many...)
		if err := f.store.DeleteFromQueue(t.Context(), "a", many[0]); err != nil {
			t.Error(err)
		}
		f.noted(want[0])
		err := f.store.DeleteFromQueue(t.Context(), "a", many[0])
		if !errors.Is(err, queue.ErrNotFound) {
			t.Error(err)
		}
	})
	t.Run("run for each job of a queue", func(t *testing.T) {
		f := f.in(t)
		for range 2 { // the second time the queue is empty
			if err := f.store.ClearQueue(t.Context(), "a"); err != nil {
				t.Error(err)
			}
			same(t, "the number of queues", f.raw.SCard(t.Context(), "queues").Val(), 0)
		}
		f.noted(want[1:]...)
		f.at("")
	})
	t.Run("that fail are an error, and the jobs are removed", func(t *testing.T) {
		f := f.in(t)
		f.put("retry", note("1", "yes"), note("2", "wrong type"), note("3", "forbidden"),
			note("4", "panics"), note("5", "yes"))
		var failed *queue.EffectsError
		err := f.store.RetrySet().Clear(t.Context())
		if !errors.As(err, &failed) || failed.Jobs != 3 {
			t.Error(err)
		}
		f.noted("1 delete", "5 delete")
		f.at("")
	})
}
