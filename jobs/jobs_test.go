package jobs_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/jobs"
)

func TestDeliveryDelay(t *testing.T) {
	t.Run("of 16 retries is 49.6 to 74.7 hours together", func(t *testing.T) {
		var least, most time.Duration
		for n := range jobs.DeliveryRetries {
			low, high := time.Duration(1<<62), time.Duration(0)
			for range 2000 {
				d := jobs.DeliveryDelay(n, nil)
				low, high = min(low, d), max(high, d)
			}
			least += low
			most += high + 10*time.Duration(n+1)*time.Second // with Sidekiq's jitter
		}
		if h := least.Hours(); h < 49.5 || h > 50.5 {
			t.Errorf("at least %.1f h", h)
		}
		if h := most.Hours(); h < 74 || h > 75 {
			t.Errorf("at most %.1f h", h)
		}
	})
}
