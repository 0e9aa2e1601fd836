package protocol

import (
	"testing"

	"github.com/kyujobs/kyu/queue"
)

func TestTrips(t *testing.T) {
	t.Run("take as many as there are seats, and acks ride along", func(t *testing.T) {
		f := newFixture(t, two(2)...)
		f.at("begin 0", "want 2 from 1 acks [] adopt []")
		f.at("begin 0", "-") // one round trip at a time
		f.at("begin 1", "want 1 from 3 acks [] adopt []")
		f.at("back 0 x1 y2", "stale 0")
		f.at("begin 0", "-") // no seat
		f.at("start 0", "x1")
		f.at("done x1", "true")
		f.at("begin 0", "want 1 from 4 acks [x1] adopt []")
		f.at("back 0", "stale 0")
		f.at("begin 0", "-") // it sleeps: the queues are empty
	})
	t.Run("a second goes only with many seats, and none while queues are empty",
		func(t *testing.T) {
			f := newFixture(t, Capsule{Queues: []int{0}, Seats: 40, Trips: 2})
			f.limit = 20
			f.at("begin 0", "want 20 from 1 acks [] adopt []")
			f.at("begin 0", "want 20 from 21 acks [] adopt []")
			f.at("begin 0", "-")
			f.at("back 0", "stale 0")
			f.at("begin 0", "-")
		})
	t.Run("go not without a lease", func(t *testing.T) {
		f := newFixture(t, two(1)...)
		f.held = false
		f.at("begin 0", "-")
	})
	t.Run("a lost reply leaves acks to settle again, and an audit", func(t *testing.T) {
		f := newFixture(t, two(1)...)
		f.at("begin 0", "want 1 from 1 acks [] adopt []")
		f.at("back 0 x1", "stale 0")
		f.at("start 0", "x1")
		f.at("done x1", "true")
		f.at("begin 0", "want 1 from 2 acks [x1] adopt []")
		f.at("audit a x1 x2", "lost 0") // the trip may bring 2, and settles 1
		f.at("lost 0", "stale 0")
		if !f.Audit() || f.Settled() {
			t.Errorf("audit %t, settled %t", f.Audit(), f.Settled())
		}
		f.at("audit a x2", "lost 1")
		f.at("settle 0", "requeue 2, done 1")
		f.at("confirm 0 1 0", "stale 0") // 1 was settled by the trip: nobody took it away
		if f.Audit() || !f.Settled() {
			t.Errorf("audit %t, settled %t", f.Audit(), f.Settled())
		}
	})
}

func TestStart(t *testing.T) {
	t.Run("gives back what has no lease", func(t *testing.T) {
		f := newFixture(t, two(2)...)
		f.at("begin 0", "want 2 from 1 acks [] adopt []")
		f.at("back 0 x1 x2", "stale 0")
		f.held = false
		f.at("start 0", "-")
		f.at("settle 0", "requeue 2, requeue 1") // the oldest is put back last
		f.at("confirm 0 1 0", "stale 1")
	})
	t.Run("gives back what another identity was given", func(t *testing.T) {
		f := newFixture(t, two(2)...)
		f.at("begin 0", "want 2 from 1 acks [] adopt []")
		f.at("back 0 x1 x2", "stale 0")
		f.at("start 0", "x1")
		f.at("done x1", "true")
		f.Renewed(f.owner("b"))
		f.at("begin 0", "-") // the ack of a is no ack of b: its seat is not free
		f.at("start 0", "-")
		f.at("settle 0", "requeue 2, done 1")
		f.at("confirm 0 0 0", "stale 2")
		f.at("begin 0", "want 2 from 3 acks [] adopt []")
	})
	t.Run("an audit of the identity before finds nothing", func(t *testing.T) {
		f := newFixture(t, two(1)...)
		f.Renewed(f.owner("b"))
		f.at("audit a x1", "lost 0")
		f.at("audit b x1", "lost 1")
	})
}

func TestQuiet(t *testing.T) {
	t.Run("gives back what has not started, when all trips are back", func(t *testing.T) {
		f := newFixture(t, Capsule{Queues: []int{0}, Seats: 40, Trips: 2})
		f.limit = 20
		f.at("begin 0", "want 20 from 1 acks [] adopt []")
		f.at("begin 0", "want 20 from 21 acks [] adopt []")
		f.at("back 0 x1 x2", "stale 0")
		f.Quiet()
		f.at("settle 0", "")
		f.at("back 0 x21", "stale 0")
		f.at("settle 0", "requeue 21, requeue 2, requeue 1")
		f.at("begin 0", "-")
	})
	t.Run("acks ride no more", func(t *testing.T) {
		f := newFixture(t, two(1)...)
		f.at("begin 0", "want 1 from 1 acks [] adopt []")
		f.at("back 0 x1", "stale 0")
		f.at("start 0", "x1")
		f.Quiet()
		f.at("done x1", "true")
		if !f.Urgent(0) {
			t.Error("nobody settles it")
		}
		f.at("settle 0", "done 1")
		if f.Settled() {
			t.Error("settled before Redis has confirmed it")
		}
		f.at("confirm 0 1", "stale 0")
		if !f.Settled() {
			t.Error("not settled")
		}
	})
	t.Run("what is abandoned goes back, and its handler is not heard", func(t *testing.T) {
		f := newFixture(t, two(1)...)
		f.at("begin 0", "want 1 from 1 acks [] adopt []")
		f.at("back 0 x1", "stale 0")
		f.at("start 0", "x1")
		e := f.running("x1")
		f.Abandon(e)
		if f.Finish(e, nil) {
			t.Error("it is finished again")
		}
		f.at("settle 0", "requeue 1")
	})
}

func TestBells(t *testing.T) {
	asleep := func(t *testing.T) *fixture {
		f := newFixture(t, two(1)...)
		f.at("bells", "hang [] unhang []") // nobody sleeps yet
		for _, ci := range []string{"0", "1"} {
			f.happens("begin", []string{ci})
			f.happens("back", []string{ci})
		}
		return f
	}
	t.Run("one hangs on each queue when a capsule sleeps, and brings a job", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []") // they carry the tokens 3 and 4
		f.at("bells", "hang [] unhang []")
		f.at("down 1 rang y4", "wake -1")
		f.at("start 0", "y4")
		f.at("begin 0", "-")
		f.at("bells", "hang [] unhang []") // capsule 0 has no seat, and y is not capsule 1's
		f.at("done y4", "true")
		f.at("bells", "hang [] unhang []") // its result holds the seat
		f.happens("settle", []string{"0"})
		f.at("confirm 0 1", "stale 0")
		f.at("bells", "hang [1] unhang []")
	})
	t.Run("a trip follows when it brought nothing of what landed", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("down 1 rang", "wake 0")
		f.at("bells", "hang [] unhang []") // what landed is looked at first
		f.at("begin 0", "want 1 from 5 acks [] adopt [1]")
	})
	t.Run("what it brings while all seats are taken goes back", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("down 1 rang y4", "wake -1")
		f.at("down 0 rang x3", "wake -1")
		f.at("settle 0", "requeue 3")
		f.at("start 0", "y4")
		f.at("start 0", "-")
	})
	t.Run("what a trip brings beside it goes back if there is no seat for both",
		func(t *testing.T) {
			f := asleep(t)
			f.at("bells", "hang [0 1] unhang []")
			f.Wake(0)
			f.at("begin 0", "want 1 from 5 acks [] adopt []")
			f.at("down 0 rang x3", "wake -1")
			f.at("start 0", "x3")
			f.at("back 0 x5", "stale 0")
			f.at("settle 0", "requeue 5")
		})
	t.Run("what it brings goes back while a trip carries results of all seats", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("down 1 rang y4", "wake -1")
		f.at("start 0", "y4")
		f.at("done y4", "true")
		f.Wake(0)
		f.at("begin 0", "want 1 from 5 acks [y4] adopt []")
		f.at("down 0 rang x3", "wake -1")
		f.at("start 0", "-")
		f.at("settle 0", "requeue 3")
	})
	t.Run("an audit leaves alone what it may bring", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("audit a x3", "lost 0")
		f.at("down 0 lost", "wake 0")
		f.at("audit a x3", "lost 1")
		f.at("settle 0", "requeue 3")
	})
	t.Run("what it brings after the end of the intake goes back", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.Quiet()
		f.at("down 0 rang x3", "wake -1")
		f.at("settle 0", "requeue 3")
	})
	t.Run("a lost reply of an adoption is made again", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("down 0 lost", "wake 0")
		f.at("begin 0", "want 1 from 5 acks [] adopt [0]")
		f.at("lost 0", "stale 0")
		f.at("begin 0", "want 1 from 6 acks [] adopt [0]")
	})
	t.Run("they come down when all are full, at a new identity, without a lease, and at the end",
		func(t *testing.T) {
			f := asleep(t)
			f.at("bells", "hang [0 1] unhang []")
			f.Full(0, true)
			f.at("bells", "hang [] unhang [1]")
			f.Full(0, false)
			f.held = false
			f.at("bells", "hang [] unhang [0 1]")
			f.held = true
			f.Renewed(f.owner("b"))
			f.at("bells", "hang [] unhang [0 1]")
			f.at("down 0 rang x3", "wake -1")
			f.at("start 0", "-") // of another identity
			f.at("settle 0", "requeue 3")
			f.Quiet()
			f.at("bells", "hang [] unhang [1]")
			f.at("down 1 quiet", "wake -1")
			if f.Hung() {
				t.Error("a bell hangs")
			}
		})
	t.Run("none hangs on a queue that is paused or shunned", func(t *testing.T) {
		f := asleep(t)
		f.Shun(0, true)
		f.at("bells", "hang [1] unhang []")
		f.Paused([]bool{false, true})
		f.at("bells", "hang [] unhang [1]")
	})
}

func TestSettle(t *testing.T) {
	running := func(t *testing.T) *fixture {
		f := newFixture(t, Capsule{Queues: []int{0}, Seats: 3})
		f.at("begin 0", "want 3 from 1 acks [] adopt []")
		f.at("back 0 x1 x2 x3", "stale 0")
		for range 3 {
			f.happens("start", []string{"0"})
		}
		return f
	}
	t.Run("what Redis refuses is set aside, and keeps its seat", func(t *testing.T) {
		f := running(t)
		f.at("retry x1", "true")
		f.at("done x2", "true")
		f.at("settle 0", "retry 1, done 2")
		f.at("settle 0", "") // one batch at a time
		f.at("confirm 0 -1 1", "stale 0")
		f.at("settle 0", "")
		if f.Refused(0) != 1 || f.Free(0) != 1 || f.Settled() {
			t.Errorf("refused %d, free %d", f.Refused(0), f.Free(0))
		}
		f.Retry(0)
		f.at("settle 0", "retry 1")
	})
	t.Run("a batch that got no reply is halved, and grows again", func(t *testing.T) {
		f := running(t)
		was := SettlePage
		defer func() { SettlePage = was }()
		SettlePage = Page{Count: 2, Bytes: 100}
		f.capsules[0].page = SettlePage
		for _, e := range []string{"x1", "x2", "x3"} {
			f.happens("done", []string{e})
		}
		f.at("settle 0", "done 1, done 2")
		f.Failed(0, false)
		f.at("settle 0", "done 1")
		f.at("confirm 0 0", "stale 0") // it may have been carried out before
		f.at("settle 0", "done 2, done 3")
		f.at("confirm 0 0 0", "stale 1") // 3 was not: it was taken away
	})
	t.Run("one that Redis answers with an error is set aside", func(t *testing.T) {
		f := running(t)
		f.at("done x1", "true")
		f.at("settle 0", "done 1")
		f.Failed(0, true)
		f.at("settle 0", "")
		if f.Refused(0) != 1 {
			t.Error("it is sent again and again")
		}
	})
}

func TestGate(t *testing.T) {
	f := newFixture(t, two(3)...)
	f.at("begin 0", "want 3 from 1 acks [] adopt []")
	f.at("back 0 x1 x2 x3", "stale 0")
	f.at("start 0", "x1")
	f.at("start 0", "x2")
	suspect, other := f.running("x1"), f.running("x2")
	f.Wait()
	f.Wait() // both wait
	if !f.Enter(suspect) || f.Enter(other) || f.Beside() {
		t.Error("two are inside")
	}
	if !f.Alone(suspect) || f.Alone(other) {
		t.Error("who waits counts as running")
	}
	f.at("start 0", "-")
	f.at("begin 1", "-")
	f.Open(other)
	f.at("start 0", "-")
	f.Open(suspect)
	if !f.Beside() {
		t.Error("the gate is not open")
	}
	f.at("start 0", "x3")
	if f.Alone(suspect) {
		t.Error("it is alone, and others run")
	}
}

func TestClone(t *testing.T) {
	f := newFixture(t, two(2)...)
	f.at("begin 0", "want 2 from 1 acks [] adopt []")
	f.at("back 0 x1 x2", "stale 0")
	f.at("start 0", "x1")
	f.Wait()
	f.Enter(f.running("x1"))
	c := f.Clone(func(n int) uint64 { return 100 })
	key := string(f.AppendKey(nil))
	if string(c.AppendKey(nil)) != key || c.Inside() == f.Inside() || c.Inside() != c.Running()[0] {
		t.Fatal("the clone is another")
	}
	c.Finish(c.Running()[0], &queue.Settlement{Action: queue.Dead})
	c.Open(c.Inside())
	c.Start(0, true)
	c.Begin(1, true, 1)
	if string(f.AppendKey(nil)) != key || string(c.AppendKey(nil)) == key {
		t.Error("what the clone does is seen in the other, or not in itself")
	}
}
