package faults

import (
	"context"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
)

const (
	longQueue      = "long"   // the queue of the jobs that take many seconds
	largestPayload = 10 << 20 // bytes
)

// payloads returns a long random text. The payloads are parts of it.
var payloads = sync.OnceValue(func() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	random := rand.New(rand.NewPCG(1, 1))
	b := make([]byte, largestPayload+1<<16)
	for i := range b {
		b[i] = letters[random.IntN(len(letters))]
	}
	return string(b)
})

// randomPayload returns a text for a job: most are short, one of 200 has 50 to 150 KB, and one of
// 10,000 has 1 to 10 MB. The texts of a million jobs have half a gigabyte together, but never all
// at once in Redis.
func randomPayload(random *rand.Rand) string {
	n := 1 + random.IntN(300)
	switch x := random.IntN(10_000); {
	case x < 1:
		n = 1<<20 + random.IntN(largestPayload-1<<20)
	case x < 50:
		n = 50_000 + random.IntN(100_000)
	}
	at := random.IntN(1 << 16)
	return payloads()[at : at+n]
}

// produce pushes all jobs, evenly over the time of the faults. The returned function reports
// whether all are pushed.
func (r *run) produce() (done func() bool) {
	r.Helper()
	const producers = 4
	pace := time.Duration(r.plan.count()) * r.plan.every / time.Duration(r.plan.jobs/producers)
	c := queue.Config{URL: "redis://" + r.pusher.Addr, MaxPayload: largestPayload + 1<<20,
		Capabilities: []queue.Capability{unique.Capability()}}
	store, err := queue.Open(context.Background(), c)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { store.Close() })
	client := queue.NewClient(store, unique.Client(nil))
	var all sync.WaitGroup
	for g := range producers {
		random := rand.New(rand.NewPCG(uint64(*seed), uint64(g+1)))
		all.Go(func() {
			next := time.Now()
			for range r.plan.jobs / producers {
				next = next.Add(pace)
				<-time.After(time.Until(next))
				if err := r.pushOne(client, random); err != nil {
					r.t.Error(err)
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }() // ends with the producers
	return func() bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	}
}

// pushOne pushes a random job. Most run once. Some fail first or always, some are scheduled, some
// push further jobs, some are of a class that not all processes know, some have locks, and some are
// too late to run after a while.
func (r *run) pushOne(c *queue.Client, random *rand.Rand) error {
	o := queue.Options{Queue: all[random.IntN(4)], Retry: queue.RetryMax(0)}
	ms := random.IntN(5)
	class, args := "Test::Ledger", []any{ms}
	switch n := random.IntN(10_000); {
	case n < r.plan.long:
		o.Queue, args = longQueue, []any{r.plan.longest/2 + random.IntN(r.plan.longest/2)}
	case n < 30:
		args = []any{200 + random.IntN(800)}
	case n < 35:
		class, args = "Test::Doomed", nil
	case n < 300:
		class, args, o.Retry = "Test::Flaky", []any{1}, queue.RetryMax(5)
	case n < 400: // many retries, because a run by a process without the class counts as a failure
		class, o.Retry = "Test::Rare", queue.RetryMax(25)
	case n < 600:
		within := []int{0, 0, 0, 20}[random.IntN(4)] // milliseconds
		class, args = "Test::Family", []any{ms, 1 + random.IntN(3), within, o.Queue}
	case n < 1300:
		o.At = time.Now().Add(time.Duration(random.IntN(3000)) * time.Millisecond)
	case n < 6000:
		text := randomPayload(random)
		class, args = "Test::Parcel", []any{ms, crc32.ChecksumIEEE([]byte(text)), text}
	case n < 6600:
		return r.ledger.pushLocked(c, random, o)
	}
	return r.ledger.push(context.Background(), c, class, args, o)
}

// complain fails the test. It prints the first five complaints of a kind.
func (r *run) complain(kind, format string, args ...any) {
	r.Helper()
	r.complaints[kind]++
	if r.complaints[kind] <= 5 {
		r.t.Errorf("%s: %s", kind, fmt.Sprintf(format, args...))
	} else {
		r.t.Fail()
	}
}
