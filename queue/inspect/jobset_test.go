package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// fill adds n failed jobs, which are due in the future, to the retry set: r000, r001, ….
func (f *fixture) fill(n int) {
	f.Helper()
	for i := range n {
		f.raw.ZAdd(f.Context(), "retry", redis.Z{Score: float64(2e9 + i),
			Member: fmt.Sprintf(`{"class":"Job","queue":"a","jid":"r%03d","args":[],"retry":true,`+
				`"retry_count":0,"created_at":1.5}`, i)})
	}
}

// find returns a job of the retry set.
func (f *fixture) find(jid string) queue.Entry {
	f.Helper()
	e, err := f.in.RetrySet().Find(f.Context(), jid)
	if err != nil {
		f.Fatal(err)
	}
	return e
}

func TestJobSet(t *testing.T) {
	f := newFixture(t)
	f.fill(3)
	set := f.in.RetrySet()
	t.Run("Reschedule changes the time of an entry", func(t *testing.T) {
		f := f.sub(t)
		at := time.Unix(2_100_000_000, 0)
		if err := set.Reschedule(t.Context(), f.find("r000"), at); err != nil {
			t.Error(err)
		}
		if e := f.find("r000"); !e.At.Equal(at) {
			t.Errorf("rescheduled to %v", e.At)
		}
	})
	for _, c := range []struct {
		name, jid string
		op        func(context.Context, ...queue.Entry) (int, error)
		at        string
	}{
		{"Retry moves an entry to its queue", "r000", set.Retry, "queue:a=1 retry=2"},
		{"Kill moves an entry to the dead set", "r001", set.Kill, "dead=1 queue:a=1 retry=1"},
		{"Delete removes an entry", "r002", set.Delete, "dead=1 queue:a=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := f.sub(t)
			if n, err := c.op(t.Context(), f.find(c.jid)); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			f.at(c.at)
		})
	}
	t.Run("Retry gives an attempt back, as Sidekiq does", func(t *testing.T) {
		j, err := envelope.ParseJob(f.raw.LIndex(t.Context(), "queue:a", 0).Val())
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := j.RetryCount(); n != -1 || j.Field("enqueued_at") == "" {
			t.Error(j.Raw())
		}
	})
	t.Run("Find returns ErrNotFound for a job that was moved", func(t *testing.T) {
		if _, err := set.Find(t.Context(), "r000"); !errors.Is(err, queue.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestAll(t *testing.T) {
	f := newFixture(t)
	f.fill(250)
	f.raw.ZAdd(t.Context(), "retry", redis.Z{Score: 1, Member: "no job"})
	set := f.in.RetrySet()
	t.Run("retries all jobs, and passes over entries that stay", func(t *testing.T) {
		if n, err := set.All(t.Context(), set.Retry); n != 250 || err != nil {
			t.Errorf("retried %d, %v", n, err)
		}
		f.sub(t).at("queue:a=250 retry=1")
	})
	t.Run("kills entries that are no jobs", func(t *testing.T) {
		if n, err := set.All(t.Context(), set.Kill); n != 1 || err != nil {
			t.Errorf("killed %d, %v", n, err)
		}
		f.sub(t).at("dead=1 queue:a=250")
	})
	t.Run("leaves Clear nothing to remove but the dead set", func(t *testing.T) {
		if err := f.store.DeadSet().Clear(t.Context()); err != nil {
			t.Error(err)
		}
		f.sub(t).at("queue:a=250")
	})
}

func TestAllWithJobsThatDieAgain(t *testing.T) {
	f := newFixture(t)
	for i := range 250 {
		f.raw.ZAdd(t.Context(), "dead", redis.Z{Score: float64(i + 1),
			Member: fmt.Sprintf(`{"class":"A","jid":"d%03d","queue":"a","args":[]}`, i)})
	}
	again := float64(time.Now().Unix() + 1)
	dies := func(ctx context.Context, list ...queue.Entry) (int, error) {
		n, err := f.store.DeadSet().Retry(ctx, list...)
		for range n {
			again += 1e-3
			raw := f.raw.LPop(ctx, "queue:a").Val()
			f.raw.ZAdd(ctx, "dead", redis.Z{Score: again, Member: raw})
		}
		return n, err
	}
	t.Run("retries each of them once", func(t *testing.T) {
		if n, err := f.in.DeadSet().All(t.Context(), dies); n != 250 || err != nil {
			t.Errorf("retried %d, %v", n, err)
		}
		if n := f.raw.ZCount(t.Context(), "dead", "-inf", "1000").Val(); n != 0 {
			t.Errorf("%d jobs were not retried", n)
		}
	})
}

func TestPage(t *testing.T) {
	f := newFixture(t)
	for _, jid := range []string{"x", "y"} {
		f.raw.ZAdd(t.Context(), "retry", redis.Z{Score: 2e9,
			Member: `{"class":"Job","queue":"a","jid":"` + jid + `"}`})
	}
	t.Run("has the entries of the same time that are left", func(t *testing.T) {
		f := f.sub(t)
		f.store.RetrySet().Delete(t.Context(), f.find("x"))
		page, err := f.in.RetrySet().Page(t.Context(), 0, 10)
		if err != nil || len(page) != 1 {
			t.Fatalf("%+v %v", page, err)
		}
		same(t, "the job", page[0].Job.JID, "y")
	})
}
