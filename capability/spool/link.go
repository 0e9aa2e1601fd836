package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

const (
	// reconnectAfter is how long the error of an attempt to connect is given to other pushes too.
	reconnectAfter = time.Second
	connectLimit   = 5 * time.Second // of an attempt
)

var errUnconnected = errors.New("push: not connected to Redis, nothing was pushed")

// Link is a queue.Backend that opens its Store when it is first used. So a program can start, and
// keep its pushes in a spool, while Redis is away. It is safe for concurrent use.
type Link struct {
	config queue.Config

	mu     sync.Mutex
	store  *queue.Store // nil until it is open
	failed error        // of the last attempt
	at     time.Time    // of its end
	closed bool
}

// Connect returns the Link of a Config. It does not connect. The error says that the address is
// wrong.
func Connect(c queue.Config) (*Link, error) {
	probe, err := c.Redis(1)
	if err != nil {
		return nil, err
	}
	return &Link{config: c}, probe.Close()
}

// Store returns the Store, and opens it if it is not open. The errors are those of queue.Open. For
// a second after an error, it returns the same one.
func (l *Link) Store(ctx context.Context) (*queue.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case l.store != nil:
		return l.store, nil
	case l.failed != nil && time.Since(l.at) < reconnectAfter:
		return nil, l.failed
	}
	// The end of one push must not end the attempt, because others wait for it too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectLimit)
	defer cancel()
	l.store, l.failed = queue.Open(ctx, l.config)
	l.at = time.Now()
	return l.store, l.failed
}

// PushBatches is the method of the Store. Without a connection nothing is pushed.
func (l *Link) PushBatches(ctx context.Context, batches []queue.Batch) error {
	store, err := l.Store(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnconnected, err)
	}
	return store.PushBatches(ctx, batches)
}

// ShortenMarkers is the method of the Store.
func (l *Link) ShortenMarkers(ctx context.Context, jids []string, life time.Duration) error {
	store, err := l.Store(ctx)
	if err != nil {
		return err
	}
	return store.ShortenMarkers(ctx, jids, life)
}

// Form is the form of the payloads of the Config.
func (l *Link) Form() queue.Form { return l.config.Form() }

// Close closes the Store if it is open.
func (l *Link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.store == nil {
		return nil
	}
	return l.store.Close()
}
