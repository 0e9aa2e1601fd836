package live

import (
	"context"
	"math/rand/v2"
	"time"
)

// Run samples the state until ctx ends, while somebody listens. Then it ends all streams, and
// returns nil. It must be called once. The streams of clients that take nothing end when the
// server closes their connections, after 30 s at the latest.
func (h *Hub) Run(ctx context.Context) error {
	defer h.stop()
	s := sampler{hub: h}
	next := time.NewTimer(0)
	defer next.Stop()
	quiet := time.NewTicker(silence)
	defer quiet.Stop()
	for {
		if !h.listened() {
			select {
			case <-h.arrived:
				quiet.Reset(silence)
			case <-ctx.Done():
				return nil
			}
			continue
		}
		select {
		case <-next.C:
			pause, sent := s.turn(ctx)
			next.Reset(pause)
			if sent {
				quiet.Reset(silence)
			}
		case <-quiet.C:
			h.ping()
		case <-ctx.Done():
			return nil
		}
	}
}

// sampler is the state of the loop of Run.
type sampler struct {
	hub      *Hub
	failures int
	since    time.Time // of the first of the failures
}

// turn takes a sample. It returns the time until the next one, and whether clients were sent
// something.
func (s *sampler) turn(ctx context.Context) (pause time.Duration, sent bool) {
	limited, cancel := context.WithTimeout(ctx, sampleLimit)
	defer cancel()
	state, err := s.hub.options.Sample(limited)
	if ctx.Err() != nil {
		return 0, false
	}
	if err != nil {
		return s.failed(err), s.hub.publish(trouble)
	}
	if s.failures > 0 {
		s.hub.options.Log.Info("live: the state can be read again",
			"after", time.Since(s.since).Seconds())
		s.failures = 0
	}
	return s.hub.options.Every, s.hub.publish(stateFrame(state))
}

// failed logs the first error of an outage. It returns the time until the next sample: it doubles
// from Every to 10 s, less a random part of up to half.
func (s *sampler) failed(err error) time.Duration {
	if s.failures == 0 {
		s.since = time.Now()
		s.hub.options.Log.Error("live: the state cannot be read; trying again", "error", err)
	}
	s.failures++
	every := s.hub.options.Every
	pause := max(every, min(every<<min(s.failures, 10), 10*time.Second))
	return pause/2 + rand.N(pause/2+1)
}
