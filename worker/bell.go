package worker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// bell is a doorbell and its goroutine.
type bell struct {
	name string
	hang chan *queue.Bell
	ring *queue.Bell // nil before it is first hung
	old  bool        // of an identity that is gone: not to be hung again
	up   bool
	at   time.Time // when it was hung
	job  *queue.Delivery
	err  error
}

// rang takes a bell that came down. Its job starts at once, unless a queue
// above it may hold a job: only a fetch can tell, so then it goes back to its
// place and a fetch decides.
func (f *fetcher) rang(b *bell) {
	b.up = false
	d, err := b.job, b.err
	b.job, b.err = nil, nil
	switch {
	case errors.Is(err, queue.ErrFull):
		f.poll()
		return
	case err != nil:
		f.failed(err)
		return
	case d == nil:
		f.polling = false // it could hang
		return
	}
	f.polling = false
	f.outage.worked("fetch")
	if time.Since(b.at) < backlog+f.took {
		f.asleep = false
	}
	first := f.capsule.Mode() != Strict || d.Queue == f.names[0]
	if d.Owner == f.owner && first && f.ended() == nil && !slices.Contains(f.paused, d.Queue) {
		if f.pool.reserve(1) == 1 {
			f.pool.deliver([]*queue.Delivery{d}, 0)
			return
		}
	}
	f.putBack = append(f.putBack, d)
	f.asleep = false
}

// poll does without bells for a while: a Redis over its maxmemory refuses them,
// but not a fetch.
func (f *fetcher) poll() {
	if !f.polling {
		f.log.Warn("Redis is over its maxmemory and refuses blocking moves: looks for jobs now and then instead", "every", pollEvery)
	}
	f.polling, f.bellsAt = true, time.Now().Add(jittered(pollFor))
}

// sleepOrPoll is what to do when all queues were empty.
func (f *fetcher) sleepOrPoll(ctx context.Context) {
	switch {
	case !f.polling || time.Now().After(f.bellsAt):
		f.hangAll()
	case f.out == 0 && time.Since(f.polled) >= pollEvery:
		f.polled = time.Now()
		f.depart(ctx)
	}
}

// hangAll hangs the bells that are down, but on paused queues.
func (f *fetcher) hangAll() {
	for _, b := range f.bells {
		if b.up || slices.Contains(f.paused, b.name) {
			continue
		}
		if b.old || b.ring == nil {
			b.close()
			b.ring, b.old = f.owner.Bell(b.name), false
		}
		b.up, b.at = true, time.Now()
		b.hang <- b.ring
	}
}

func (b *bell) close() {
	if b.ring != nil {
		b.ring.Close()
	}
}

func (f *fetcher) anyUp() bool {
	return slices.ContainsFunc(f.bells, func(b *bell) bool { return b.up })
}

// unhang asks Redis to wake the bells that are up and chosen. They come down
// through rings.
func (f *fetcher) unhang(ctx context.Context, chosen func(*bell) bool) {
	var up []*bell
	for _, b := range f.bells {
		if b.up && chosen(b) {
			up = append(up, b)
		}
	}
	if len(up) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, unhangWithin) // a Redis that hangs must not hold the loop up
	defer cancel()
	for _, b := range up {
		b.ring.Unhang(ctx) // one that it missed is asked again, or times out
	}
}
