package cli

import (
	"fmt"
	"io"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embed starts a Redis inside this process. It keeps its clock running, so that
// keys expire as they do in a real one.
func (s *settings) embed() (stop func(), err error) {
	log.SetOutput(io.Discard) // miniredis logs to the standard logger, which nothing else uses
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		return nil, fmt.Errorf("--dev: the embedded Redis did not start: %w", err)
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case now := <-tick.C:
				m.FastForward(now.Sub(last))
				last = now
			case <-done:
				return
			}
		}
	}()
	s.redis.URL = "redis://" + m.Addr()
	return func() {
		close(done)
		<-stopped
		m.Close()
	}, nil
}
