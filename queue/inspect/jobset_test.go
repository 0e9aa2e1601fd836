package inspect_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// fill puts n failed jobs into the retry set, due in the future.
func fill(f *fixture, n int) {
	f.Helper()
	for i := range n {
		f.raw.ZAdd(f.Context(), "retry", redis.Z{Score: float64(2e9 + i),
			Member: fmt.Sprintf(`{"class":"Job","queue":"a","jid":"r%03d","args":[],"retry":true,`+
				`"retry_count":0,"created_at":1.5}`, i)})
	}
}

func TestFind(t *testing.T) {
	f := newFixture(t)
	fill(f, 3)
	set := f.in.RetrySet()
	find := func(jid string) queue.Entry {
		e, err := set.Find(t.Context(), jid)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if err := set.Reschedule(t.Context(), find("r000"), time.Unix(2_100_000_000, 0)); err != nil {
		t.Error(err)
	}
	if e := find("r000"); e.At.Unix() != 2_100_000_000 {
		t.Errorf("rescheduled to %v", e.At)
	}
	for _, op := range []func() (int, error){
		func() (int, error) { return set.Retry(t.Context(), find("r000")) },
		func() (int, error) { return set.Kill(t.Context(), find("r001")) },
		func() (int, error) { return set.Delete(t.Context(), find("r002")) },
	} {
		if n, err := op(); n != 1 || err != nil {
			t.Errorf("moved %d, %v", n, err)
		}
	}
	f.at("dead=1 queue:a=1")
	j, _ := envelope.ParseJob(f.raw.LIndex(t.Context(), "queue:a", 0).Val())
	if n, _ := j.RetryCount(); n != -1 || j.Field("enqueued_at") == "" {
		t.Errorf("retried by hand: %s", j.Raw()) // the attempt is given back, as Sidekiq's API does
	}
	if _, err := set.Find(t.Context(), "r000"); !errors.Is(err, queue.ErrNotFound) {
		t.Error(err)
	}
}

func TestAll(t *testing.T) {
	f := newFixture(t)
	fill(f, 250)
	f.raw.ZAdd(t.Context(), "retry", redis.Z{Score: 1, Member: "no job"})
	n, err := f.in.RetrySet().All(t.Context(), f.store.RetrySet().Retry)
	if n != 250 || err != nil {
		t.Errorf("retried %d, %v", n, err)
	}
	f.at("queue:a=250 retry=1")
	n, err = f.in.RetrySet().All(t.Context(), f.store.RetrySet().Kill)
	if n != 1 || err != nil {
		t.Errorf("killed %d, %v", n, err)
	}
	f.at("dead=1 queue:a=250")
	if err := f.store.DeadSet().Clear(t.Context()); err != nil {
		t.Error(err)
	}
	f.at("queue:a=250")
}

func TestPage(t *testing.T) {
	f := newFixture(t)
	for _, jid := range []string{"x", "y"} {
		f.raw.ZAdd(t.Context(), "retry", redis.Z{Score: 2e9,
			Member: `{"class":"Job","queue":"a","jid":"` + jid + `"}`})
	}
	e, _ := f.in.RetrySet().Find(t.Context(), "x")
	f.store.RetrySet().Delete(t.Context(), e)
	if page, _ := f.in.RetrySet().Page(t.Context(), 0, 10); len(page) != 1 ||
		page[0].Job.JID != "y" {
		t.Errorf("left: %+v", page)
	}
}
