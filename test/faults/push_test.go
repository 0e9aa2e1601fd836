package faults

import (
	"context"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

const (
	longQueue   = "long"   // of the jobs that take many seconds
	elsewhere   = "other"  // where unknown classes are forwarded to
	largestLoad = 10 << 20 // bytes
)

// loads is what the payloads are cut from.
var loads = sync.OnceValue(func() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	random := rand.New(rand.NewPCG(1, 1))
	b := make([]byte, largestLoad+1<<16)
	for i := range b {
		b[i] = letters[random.IntN(len(letters))]
	}
	return string(b)
})

// load is what a job carries: mostly little, now and then 100 KB, seldom up to 10 MB. Of
// a million jobs all loads are half a gigabyte, which is never in Redis all at once.
func load(random *rand.Rand) string {
	n := 1 + random.IntN(300)
	switch x := random.IntN(10_000); {
	case x < 1:
		n = 1<<20 + random.IntN(largestLoad-1<<20)
	case x < 50:
		n = 50_000 + random.IntN(100_000)
	}
	at := random.IntN(1 << 16)
	return loads()[at : at+n]
}

// produce pushes all jobs, spread over the time that the faults take. The returned
// function waits until it has.
func (r *run) produce() (wait func()) {
	r.Helper()
	const producers = 4
	pace := time.Duration(r.plan.count()) * r.plan.every / time.Duration(r.plan.jobs/producers)
	c := queue.Config{URL: "redis://" + r.pusher.Addr, MaxPayload: largestLoad + 1<<20}
	store, err := queue.Open(context.Background(), c)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { store.Close() })
	client := queue.NewClient(store)
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
	return all.Wait
}

// pushOne pushes a job of the mix: most run once, some fail first, some wait, some push
// others, some are of a class that not all know.
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
	case n < 400: // unknown to some: their retries must not cost it its life
		class, o.Retry = "Test::Rare", queue.RetryMax(25)
	case n < 600:
		within := []int{0, 0, 0, 20}[random.IntN(4)] // milliseconds
		class, args = "Test::Family", []any{ms, 1 + random.IntN(3), within, o.Queue}
	case n < 1300:
		o.At = time.Now().Add(time.Duration(random.IntN(3000)) * time.Millisecond)
	case n < 6000:
		text := load(random)
		class, args = "Test::Parcel", []any{ms, crc32.ChecksumIEEE([]byte(text)), text}
	}
	return r.ledger.push(context.Background(), c, class, args, o)
}

// complain fails the test, with words for the first few of a kind.
func (r *run) complain(kind, format string, args ...any) {
	r.Helper()
	r.complaints[kind]++
	if r.complaints[kind] <= 5 {
		r.t.Errorf("%s: %s", kind, fmt.Sprintf(format, args...))
	} else {
		r.t.Fail()
	}
}
