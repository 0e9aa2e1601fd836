package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
)

const (
	firstStream = 9293 // the port of the first process of the stream
	maxStreams  = 100
)

// dashboards are the units of the dashboard that install-units is asked for.
type dashboards struct {
	pages   bool
	streams int
}

func (d *dashboards) flags(f *pflag.FlagSet) {
	f.BoolVar(&d.pages, "dashboard", false, "also the dashboard")
	f.IntVar(&d.streams, "streams", 0, fmt.Sprintf("also `N` processes for the dashboard's "+
		"stream, at ports from %d on", firstStream))
}

// any reports whether the call is about the dashboard or its streams.
func (d *dashboards) any() bool { return d.pages || d.streams > 0 }

func (d *dashboards) check() error {
	if d.streams < 0 || d.streams > maxStreams {
		return fmt.Errorf("--streams %d: want 1 to %d processes", d.streams, maxStreams)
	}
	return nil
}

// units are the names of their units.
func (d *dashboards) units() (names []string) {
	if d.pages {
		names = append(names, "dashboard")
	}
	for i := range d.streams {
		names = append(names, fmt.Sprintf("dashboard-stream@%d", firstStream+i))
	}
	return names
}

// about reports whether the call is about a unit or an example: those of the workers, those of the
// dashboard, or both.
func (u *installUnits) about(name string) bool {
	if strings.HasPrefix(name, "dashboard") {
		return u.dashboards.any()
	}
	return len(u.shares) > 0
}

// writeCredentials writes the files that the units hand to the programs, and that do not exist
// yet. They may be empty, but for the key.
func (u *installUnits) writeCredentials(c *call) error {
	texts := map[string]string{}
	names := []string{"redis_url", "database_url"}
	if u.dashboards.any() {
		key := make([]byte, 32)
		rand.Read(key)
		texts["dashboard_key"] = base64.StdEncoding.EncodeToString(key) + "\n"
		names = append(names, "dashboard_key")
	}
	if u.dashboards.pages {
		names = append(names, "dashboard_users", "dashboard_tokens", "dashboard_oidc_secret")
	}
	for _, name := range names {
		path := filepath.Join(u.root, configDir, name)
		_, err := os.Stat(path)
		switch {
		case err == nil:
			c.done(nil, "kept  "+path)
		case !errors.Is(err, os.ErrNotExist):
			return err
		default:
			if err := c.write(path, texts[name], 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// dashboardSteps are what a person has to do for the dashboard after the call.
func (u *installUnits) dashboardSteps() (steps []string) {
	config := filepath.Join(u.root, configDir)
	if u.dashboards.pages {
		steps = append(steps, fmt.Sprintf("dashboard adduser NAME --role admin --users "+
			"%s/dashboard_users: without users, everybody on this machine is an admin.", config))
	}
	if u.dashboards.streams > 0 {
		steps = append(steps, fmt.Sprintf("Let a proxy divide the streams among the ports from %d "+
			"to %d, and give its address in %s/dashboard.env: STREAMING_API_BASE_URL.", firstStream,
			firstStream+u.dashboards.streams-1, config))
	}
	if u.dashboards.streams > 0 && !u.dashboards.pages {
		steps = append(steps, fmt.Sprintf("Copy %s/dashboard_key from the machine of the pages.",
			config))
	}
	return steps
}
