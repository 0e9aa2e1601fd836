package queue_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// hold pushes n jobs to a queue, and holds them as jobs of a class.
func (f *fixture) hold(name, class string, n int) {
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
	f.hold("a", "New", 5)
	f.hold("b", "New", 3)
	f.hold("b", "Other", 1)
	for _, c := range []struct {
		name            string
		classes, queues []string
		moved           int
		at              string
	}{
		{"moves nothing without classes", nil, []string{"a"}, 0,
			"kyu:hold:New=8 kyu:hold:Other=1"},
		{"moves no jobs of other queues", []string{"New"}, []string{"c"}, 0,
			"kyu:hold:New=8 kyu:hold:Other=1"},
		{"moves nothing for a class without held jobs", []string{"Nobody"}, []string{"a", "b"}, 0,
			"kyu:hold:New=8 kyu:hold:Other=1"},
		{"passes over pages of other queues", []string{"New"}, []string{"b"}, 3,
			"kyu:hold:New=5 kyu:hold:Other=1 queue:b=3"},
		{"moves jobs of several classes and queues", []string{"Other", "New"}, []string{"a", "b"},
			6, "queue:a=5 queue:b=4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			moved, err := f.store.Release(t.Context(), c.classes, c.queues, 2)
			if err != nil || moved != c.moved {
				t.Errorf("moved %d, want %d, %v", moved, c.moved, err)
			}
			f.in(t).at(c.at)
		})
	}
	t.Run("keeps jobs for keys of wrong types, and moves the others", func(t *testing.T) {
		f := newFixture(t)
		f.hold("b", "New", 3)
		f.hold("a", "New", 3)
		f.hold("a", "Other", 1)
		f.spoil("queue:b", "kyu:hold:Broken")
		classes, queues := []string{"Broken", "New", "Other"}, []string{"a", "b"}
		moved, err := f.store.Release(t.Context(), classes, queues, 2)
		if moved != 4 || !says(err, "queue:b", "kyu:hold:Broken") {
			t.Errorf("moved %d, %v", moved, err)
		}
		f.raw.Del(t.Context(), "kyu:hold:Broken")
		f.at("kyu:hold:New=3 queue:a=4 queue:b=0")
	})
}
