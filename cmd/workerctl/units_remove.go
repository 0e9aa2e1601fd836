package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// uninstallUnits removes the units, and the admin's settings only with --purge.
type uninstallUnits struct {
	question
	root  string
	purge bool
}

func (c *call) uninstallUnitsCommand() *cobra.Command {
	u := &uninstallUnits{}
	cmd := c.local("uninstall-units", "remove systemd's units", u.run)
	cmd.Long = "remove the units that install-units has written; with --purge, the settings too"
	cmd.Example = "workerctl uninstall-units"
	u.flags(cmd.Flags())
	return cmd
}

func (u *uninstallUnits) flags(f *pflag.FlagSet) {
	f.BoolVar(&u.purge, "purge", false, "remove /etc/kyu too, with the addresses in it")
	u.question.flags(f)
	rootFlag(f, &u.root)
}

func (u *uninstallUnits) run(_ context.Context, c *call, _ []string) error {
	if err := u.refuseRunning(); err != nil {
		return err
	}
	paths, err := unitPaths(u.root)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		if err := os.Remove(paths[name]); err == nil {
			c.done(nil, "removed "+paths[name])
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := u.removeUser(c); err != nil {
		return err
	}
	config := filepath.Join(u.root, configDir)
	if !u.purge {
		return c.done(nil, "kept    "+config+": --purge removes it too. Then: systemctl "+
			"daemon-reload")
	}
	if err := u.ask(c, "Delete "+config+" with the addresses in it"); err != nil {
		return err
	}
	return c.done(os.RemoveAll(config), "removed "+config+". Then: systemctl daemon-reload")
}

// refuseRunning returns an error if the units run on this machine, and --root names no other.
func (u *uninstallUnits) refuseRunning() error {
	if u.root != "" {
		return nil
	}
	out, err := exec.Command("systemctl", "list-units", "--plain", "--no-legend",
		"--state=active", "worker@*", "worker.service", "dashboard.service",
		"dashboard-stream@*").Output()
	if err != nil || len(out) == 0 {
		return nil // without systemd, no unit runs
	}
	return fmt.Errorf("some units are running: first `systemctl disable --now worker.target "+
		"'worker@*' dashboard 'dashboard-stream@*'`:\n%s", out)
}
