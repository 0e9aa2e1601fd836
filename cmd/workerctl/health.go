package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// health asks a worker's /livez: for a container without a shell.
func (c *ctl) health(ctx context.Context, words []string) error {
	if len(words) > 0 || c.http == "" {
		return fmt.Errorf("%w: health --http ADDRESS: want the address of a worker's --http",
			errUsage)
	}
	network, address := "tcp", c.http
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	client := &http.Client{Timeout: 4 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://worker/livez", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New("health: " + strings.TrimSpace(string(text)))
	}
	return c.done(nil, strings.TrimSpace(string(text)))
}
