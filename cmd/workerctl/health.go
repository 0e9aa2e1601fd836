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

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type health struct{ http string }

func (c *call) healthCommand() *cobra.Command {
	h := &health{}
	cmd := c.local("health --http ADDRESS", "ask a worker's /livez, as a container's health check",
		h.run)
	cmd.Long = "ask a worker's /livez, for containers without a shell; exit code 0 if the\n" +
		"worker answers that it lives, else 1"
	cmd.Example = "workerctl health --http 127.0.0.1:9394"
	cmd.Args = checked(h.check)
	h.flags(cmd.Flags())
	return cmd
}

func (h *health) flags(f *pflag.FlagSet) {
	f.StringVar(&h.http, "http", "", "the `ADDRESS` that the worker was given as its --http")
}

func (h *health) check(words []string) error {
	if len(words) > 0 || h.http == "" {
		return errors.New("want health --http ADDRESS, the address of a worker's --http")
	}
	return nil
}

func (h *health) run(ctx context.Context, c *call, _ []string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://worker/livez", nil)
	if err != nil {
		return err
	}
	answer, err := clientOf(h.http).Do(request)
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

// clientOf connects to one address, host:port or unix:PATH, whatever a URL says.
func clientOf(address string) *http.Client {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	return &http.Client{Timeout: 4 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}}}
}
