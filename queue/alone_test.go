package queue_test

import (
	"os"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// A call to Alone is on the way when its caller gives it up, and comes after the call that
// ends it: the mark must not be there again, for the next crash would be blamed on the job.
func TestAlone(t *testing.T) {
	f := newFixture(t)
	o := f.store.Owner("h:1:a")
	if err := o.Register(t.Context(), queue.Host{Name: "h", PID: 1}, []string{"a"},
		time.Minute); err != nil {
		t.Fatal(err)
	}
	d := &queue.Delivery{Queue: "a", Owner: o, Token: f.store.Tokens(1)}
	marked := func() bool { return f.raw.HExists(t.Context(), "kyu:owner:h:1:a", "alone").Val() }
	first := f.store.Tokens(1) // the number of the call that is late
	for _, end := range []bool{false, true} {
		var of *queue.Delivery
		if !end {
			of = d
		}
		if err := o.Alone(t.Context(), of); err != nil || marked() == end {
			t.Fatalf("end %t: marked %t, %v", end, marked(), err)
		}
	}
	text, err := os.ReadFile("lua/alone.lua")
	if err != nil {
		t.Fatal(err)
	}
	late, err := f.raw.Eval(t.Context(), string(text), []string{"kyu:owner:h:1:a"}, d.Token,
		first).Int()
	if err != nil || late != 0 || marked() {
		t.Errorf("the late call: %d, marked %t, %v", late, marked(), err)
	}
	f.raw.Del(t.Context(), "kyu:owner:h:1:a")
	if err := o.Alone(t.Context(), d); err == nil || f.raw.Exists(t.Context(),
		"kyu:owner:h:1:a").Val() != 0 {
		t.Errorf("an owner that was forgotten is marked: %v", err)
	}
	if err := o.Alone(t.Context(), nil); err != nil {
		t.Errorf("the end of what is forgotten: %v", err)
	}
}
