package queue_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// hold puts n jobs of a class, taken from a queue, aside.
func hold(f *fixture, name, class string, n int) {
	f.Helper()
	f.push(name, n)
	for _, d := range f.fetch(n) {
		settled, err := settleOne(f.Context(), f.store, queue.Settlement{
			Delivery: d, Action: queue.Hold, Payload: d.Raw, At: time.Now(), To: class})
		if err != nil || !settled {
			f.Fatal(settled, err)
		}
	}
}

func TestRelease(t *testing.T) {
	f := newFixture(t)
	hold(f, "a", "New", 5)
	hold(f, "b", "New", 3)
	hold(f, "b", "Other", 1)
	held, err := inspect.New(f.store).HeldClasses(t.Context())
	if err != nil || len(held) != 2 || held[0].Class != "New" || held[0].Size != 8 ||
		held[1].Size != 1 {
		t.Fatalf("%+v %v", held, err)
	}
	for _, c := range []struct {
		classes, queues []string
		moved           int
		at              string
	}{
		{nil, []string{"a"}, 0, "kyu:hold:New=8 kyu:hold:Other=1"},
		{[]string{"New"}, []string{"c"}, 0, "kyu:hold:New=8 kyu:hold:Other=1"},
		{[]string{"Nobody"}, []string{"a", "b"}, 0, "kyu:hold:New=8 kyu:hold:Other=1"},
		// pages of 2, past what is a's
		{[]string{"New"}, []string{"b"}, 3, "kyu:hold:New=5 kyu:hold:Other=1 queue:b=3"},
		{[]string{"Other", "New"}, []string{"a", "b"}, 6, "queue:a=5 queue:b=4"},
	} {
		moved, err := f.store.Release(t.Context(), c.classes, c.queues, 2)
		if err != nil || moved != c.moved {
			t.Errorf("%v of %v: moved %d, want %d, %v", c.classes, c.queues, moved, c.moved, err)
		}
		f.at(c.at)
	}
	if held, err := inspect.New(f.store).HeldClasses(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("%+v %v", held, err)
	}
}
