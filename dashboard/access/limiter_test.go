package access

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimiter(t *testing.T) {
	t.Run("allows five tries at once, and one more each 12 seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter()
			for i := range 5 {
				if wait := l.take("a"); wait != 0 {
					t.Errorf("try %d waits for %v", i, wait)
				}
			}
			if wait := l.take("a"); wait != 12*time.Second {
				t.Errorf("the sixth waits for %v", wait)
			}
			if wait := l.take("b"); wait != 0 {
				t.Errorf("another key waits for %v", wait)
			}
			time.Sleep(11 * time.Second)
			if wait := l.take("a"); wait != time.Second {
				t.Errorf("after 11 s it waits for %v", wait)
			}
			time.Sleep(time.Second)
			if one, two := l.take("a"), l.take("a"); one != 0 || two != 12*time.Second {
				t.Errorf("after 12 s the tries wait for %v and %v", one, two)
			}
			time.Sleep(time.Hour)
			for range 5 {
				l.take("a")
			}
			if wait := l.take("a"); wait != 12*time.Second {
				t.Errorf("after an hour the sixth waits for %v", wait)
			}
		})
	})
	t.Run("gives back no more than was taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter()
			for range 20 {
				if wait := l.take("a"); wait != 0 {
					t.Errorf("a try that was given back waits for %v", wait)
				}
				l.giveBack("a")
			}
			for range 5 {
				l.take("a")
			}
			if wait := l.take("a"); wait != 12*time.Second {
				t.Errorf("the sixth waits for %v", wait)
			}
		})
	})
	t.Run("remembers a bounded number of keys, first those without tries", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter()
			for range 5 {
				l.take("guesser")
			}
			time.Sleep(refill)
			for i := range maxLimited - 1 {
				l.take(fmt.Sprint("old", i))
			}
			time.Sleep(refill) // the old ones have all their tries again
			l.take("new")
			if len(l.full) != 2 {
				t.Errorf("it remembers %d keys", len(l.full))
			}
			for try, want := range []time.Duration{0, 0, refill} { // two have come back
				if wait := l.take("guesser"); wait != want {
					t.Errorf("try %d of the guesser waits for %v", try, wait)
				}
			}
			for i := range 2 * maxLimited {
				if wait := l.take(fmt.Sprint(i)); wait != 0 {
					t.Fatalf("key %d waits for %v", i, wait)
				}
			}
			if n := len(l.full); n > maxLimited || n < maxLimited*9/10 {
				t.Errorf("it remembers %d keys", n)
			}
		})
	})
	t.Run("counts the tries of many goroutines", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l, allowed := newLimiter(), make(chan bool, 50)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { allowed <- l.take("a") == 0 })
			}
			wg.Wait()
			close(allowed)
			n := 0
			for ok := range allowed {
				if ok {
					n++
				}
			}
			if n != 5 {
				t.Errorf("it allows %d tries", n)
			}
		})
	})
}
