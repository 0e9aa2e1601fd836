package protocol

import (
	"testing"

	"github.com/kyujobs/kyu/queue"
)

func TestTrips(t *testing.T) {
	t.Run("ask for a job per free seat, and carry acks", func(t *testing.T) {
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
	t.Run("go two at once only with many free seats, and not while queues are empty",
		func(t *testing.T) {
			f := newFixture(t, Capsule{Queues: []int{0}, Seats: 40, Trips: 2})
			f.limit = 20
			f.at("begin 0", "want 20 from 1 acks [] adopt []")
			f.at("begin 0", "want 20 from 21 acks [] adopt []")
			f.at("begin 0", "-")
			f.at("back 0", "stale 0")
			f.at("begin 0", "-")
		})
	t.Run("are not made without a lease", func(t *testing.T) {
		f := newFixture(t, two(1)...)
		f.held = false
		f.at("begin 0", "-")
	})
	t.Run("without a reply need an audit, and their acks are settled again", func(t *testing.T) {
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
		f.at("confirm 0 1 0", "stale 0") // the trip had settled 1: it was not reclaimed
		if f.Audit() || !f.Settled() {
			t.Errorf("audit %t, settled %t", f.Audit(), f.Settled())
		}
	})
}

func TestStart(t *testing.T) {
	t.Run("gives jobs back without a lease", func(t *testing.T) {
		f := newFixture(t, two(2)...)
		f.at("begin 0", "want 2 from 1 acks [] adopt []")
		f.at("back 0 x1 x2", "stale 0")
		f.held = false
		f.at("start 0", "-")
		f.at("settle 0", "requeue 2, requeue 1") // the oldest is put back last
		f.at("confirm 0 1 0", "stale 1")
	})
	t.Run("gives back the jobs of an earlier identity", func(t *testing.T) {
		f := newFixture(t, two(2)...)
		f.at("begin 0", "want 2 from 1 acks [] adopt []")
		f.at("back 0 x1 x2", "stale 0")
		f.at("start 0", "x1")
		f.at("done x1", "true")
		f.Renewed(f.owner("b"))
		f.at("begin 0", "-") // a trip of b cannot carry an ack of a: the seat is taken
		f.at("start 0", "-")
		f.at("settle 0", "requeue 2, done 1")
		f.at("confirm 0 0 0", "stale 2")
		f.at("begin 0", "want 2 from 3 acks [] adopt []")
	})
	t.Run("ignores an audit of an earlier identity", func(t *testing.T) {
		f := newFixture(t, two(1)...)
		f.Renewed(f.owner("b"))
		f.at("audit a x1", "lost 0")
		f.at("audit b x1", "lost 1")
	})
}

func TestQuiet(t *testing.T) {
	t.Run("gives back jobs that have not started, when all trips are back", func(t *testing.T) {
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
	t.Run("has acks settled in a batch", func(t *testing.T) {
		f := newFixture(t, two(1)...)
		f.at("begin 0", "want 1 from 1 acks [] adopt []")
		f.at("back 0 x1", "stale 0")
		f.at("start 0", "x1")
		f.Quiet()
		f.at("done x1", "true")
		if !f.Urgent(0) {
			t.Error("no batch is due, so it is never settled")
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
	t.Run("gives back an abandoned job, and ignores its handler's result", func(t *testing.T) {
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

// asleep makes a Process whose two capsules are asleep.
func asleep(t *testing.T) *fixture {
	f := newFixture(t, two(1)...)
	f.at("bells", "hang [] unhang []") // no capsule is asleep yet
	for _, ci := range []string{"0", "1"} {
		f.happens("begin", []string{ci})
		f.happens("back", []string{ci})
	}
	return f
}

func TestBells(t *testing.T) {
	t.Run("hang on each queue while a capsule is asleep, and bring a job", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []") // they carry the tokens 3 and 4
		f.at("bells", "hang [] unhang []")
		f.at("down 1 rang y4", "wake -1")
		f.at("start 0", "y4")
		f.at("begin 0", "-")
		f.at("bells", "hang [] unhang []") // capsule 0 has no seat, and capsule 1 does not serve y
		f.at("done y4", "true")
		f.at("bells", "hang [] unhang []") // the job takes the seat until it is settled
		f.happens("settle", []string{"0"})
		f.at("confirm 0 1", "stale 0")
		f.at("bells", "hang [1] unhang []")
	})
	t.Run("that landed a job without delivering it are followed by a trip", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("down 1 rang", "wake 0")
		f.at("bells", "hang [] unhang []") // the landed job comes first
		f.at("begin 0", "want 1 from 5 acks [] adopt [1]")
	})
	t.Run("have their landed jobs adopted again after a lost reply", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("down 0 lost", "wake 0")
		f.at("begin 0", "want 1 from 5 acks [] adopt [0]")
		f.at("lost 0", "stale 0")
		f.at("begin 0", "want 1 from 6 acks [] adopt [0]")
	})
	t.Run("come down when all are full, without a lease, at a new identity, and when quiet",
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
				t.Error("a doorbell hangs")
			}
		})
	t.Run("do not hang on a queue that is paused or shunned", func(t *testing.T) {
		f := asleep(t)
		f.Shun(0, true)
		f.at("bells", "hang [1] unhang []")
		f.Paused([]bool{false, true})
		f.at("bells", "hang [] unhang [1]")
	})
}

func TestJobsOfBells(t *testing.T) {
	t.Run("go back while all seats are taken", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("down 1 rang y4", "wake -1")
		f.at("down 0 rang x3", "wake -1")
		f.at("settle 0", "requeue 3")
		f.at("start 0", "y4")
		f.at("start 0", "-")
	})
	t.Run("go before the job of a trip if there is no seat for both",
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
	t.Run("go back while a trip carries the acks of all seats", func(t *testing.T) {
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
	t.Run("are ignored by an audit while the doorbell may bring them", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.at("audit a x3", "lost 0")
		f.at("down 0 lost", "wake 0")
		f.at("audit a x3", "lost 1")
		f.at("settle 0", "requeue 3")
	})
	t.Run("go back after the intake has ended", func(t *testing.T) {
		f := asleep(t)
		f.at("bells", "hang [0 1] unhang []")
		f.Quiet()
		f.at("down 0 rang x3", "wake -1")
		f.at("settle 0", "requeue 3")
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
	t.Run("sets aside a delivery that Redis refuses, and keeps its seat", func(t *testing.T) {
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
	t.Run("halves a batch that got no reply, and lets it grow again", func(t *testing.T) {
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
		f.at("confirm 0 0 0", "stale 1") // 3 was not sent before: it was reclaimed
	})
	t.Run("sets aside a single delivery that Redis answers with an error", func(t *testing.T) {
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
	t.Run("lets one suspect run alone", func(t *testing.T) {
		f := newFixture(t, two(3)...)
		f.at("begin 0", "want 3 from 1 acks [] adopt []")
		f.at("back 0 x1 x2 x3", "stale 0")
		f.at("start 0", "x1")
		f.at("start 0", "x2")
		suspect, other := f.running("x1"), f.running("x2")
		f.Wait()
		f.Wait() // both wait
		if !f.Enter(suspect) || f.Enter(other) || f.Beside() {
			t.Error("the gate lets a second suspect in")
		}
		if !f.Alone(suspect) || f.Alone(other) {
			t.Error("a suspect that waits counts as running")
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
			t.Error("it counts as alone while others run")
		}
	})
}

func TestClone(t *testing.T) {
	t.Run("shares no state with the original", func(t *testing.T) {
		f := newFixture(t, two(2)...)
		f.at("begin 0", "want 2 from 1 acks [] adopt []")
		f.at("back 0 x1 x2", "stale 0")
		f.at("start 0", "x1")
		f.Wait()
		f.Enter(f.running("x1"))
		c := f.Clone(func(n int) uint64 { return 100 })
		key := string(f.AppendKey(nil))
		if string(c.AppendKey(nil)) != key {
			t.Fatal("the clone differs")
		}
		if c.Inside() == f.Inside() || c.Inside() != c.Running()[0] {
			t.Fatal("the clone's gate holds no delivery of the clone")
		}
		c.Finish(c.Running()[0], &queue.Settlement{Action: queue.Dead})
		c.Open(c.Inside())
		c.Start(0, true)
		c.Begin(1, true, 1)
		if string(f.AppendKey(nil)) != key || string(c.AppendKey(nil)) == key {
			t.Error("a change of the clone changes the original, or does not change the clone")
		}
	})
}
