package cli

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embed starts a Redis inside this process for --dev, and makes it the Redis of the
// settings. A goroutine moves its clock, because its keys expire only then.
func (s *settings) embed(l *slog.Logger) (stop func(), err error) {
	if !s.dev {
		return func() {}, nil
	}
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
	url := "redis://" + m.Addr()
	s.shards[0].Config.URL = url
	l.Warn("--dev: an embedded Redis, in memory only: all jobs are gone when this process ends",
		"redis", url)
	return func() {
		close(done)
		<-stopped
		m.Close()
	}, nil
}
