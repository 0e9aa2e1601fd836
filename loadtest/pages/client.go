package pages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// client asks a dashboard for pages, and notes how long they took.
type client struct {
	base string
	http *http.Client

	mu     sync.Mutex
	took   map[string][]float64 // milliseconds, by the path
	failed []error
}

func newClient(base string) *client {
	return &client{base: base, took: map[string][]float64{}, http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// steadily asks for pages in turn, at a rate a second, whether or not those before have come. A
// page takes from the moment when it was due, so a dashboard that falls behind shows.
func (c *client) steadily(ctx context.Context, rate float64, length time.Duration,
	paths []string) {
	began, every := time.Now(), time.Duration(float64(time.Second)/rate)
	var all sync.WaitGroup
	defer all.Wait()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(i) * every)
		if due.Sub(began) >= length {
			return
		}
		select {
		case <-time.After(time.Until(due)):
			all.Go(func() { c.ask(ctx, paths[i%len(paths)], due) })
		case <-ctx.Done():
			return
		}
	}
}

// inTurn asks for each page some times, one after the other.
func (c *client) inTurn(ctx context.Context, times int, paths []string) {
	for range times {
		for _, path := range paths {
			c.ask(ctx, path, time.Now())
		}
	}
}

// ask asks for a page that is due at a time.
func (c *client) ask(ctx context.Context, path string, due time.Time) {
	status, err := c.get(ctx, path)
	took := time.Since(due).Seconds() * 1000
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took[path] = append(c.took[path], took)
	switch {
	case err != nil:
		c.failed = append(c.failed, fmt.Errorf("%s: %w", path, err))
	case status != http.StatusOK && status != http.StatusAccepted: // a search goes on
		c.failed = append(c.failed, fmt.Errorf("%s: status %d", path, status))
	}
}

func (c *client) get(ctx context.Context, path string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return 0, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// err has the first pages that failed.
func (c *client) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(slices.Clone(c.failed[:min(len(c.failed), 5)])...)
}
