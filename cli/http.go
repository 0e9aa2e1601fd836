package cli

import (
	"context"
	"log/slog"

	"github.com/kyujobs/kyu/monitor"
	"github.com/kyujobs/kyu/queue"
)

// monitor serves health and metrics on the address of --http. Without --http it measures
// nothing, and no port is open.
func (a *App) monitor(s *settings, shards *queue.Shards,
	log *slog.Logger) (m *monitor.Monitor, stop func(), err error) {
	var stores []*queue.Store
	for _, shard := range shards.List() {
		stores = append(stores, shard.Store)
	}
	m = monitor.New(stores...)
	if s.http == "" {
		return m, func() {}, nil
	}
	l, err := monitor.Listen(s.http, s.httpPublic)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		if err := m.Serve(ctx, l); err != nil {
			log.Error("Health and metrics are not served any more", "err", err)
		}
	}()
	log.Info("Serving health and metrics", "http", s.http)
	return m, func() { cancel(); <-ended }, nil
}
