package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// reportLeft names the units that run or are enabled, and that the call does not name. Their
// threads and connections come on top of those of the call.
func (u *installUnits) reportLeft(c *call) {
	state := map[string]string{}
	for _, unit := range u.enabledUnits() {
		state[unit] = "is still enabled"
	}
	for _, unit := range u.runningUnits() {
		state[unit] = "still runs"
	}
	for _, s := range u.shares {
		delete(state, s.unit())
	}
	for _, unit := range u.dashboards.units() {
		delete(state, unit)
	}
	units := make([]string, 0, len(state))
	for unit := range state {
		units = append(units, unit)
	}
	slices.Sort(units)
	for _, unit := range units {
		remedy := "systemctl disable --now " + unit
		if u.root != "" {
			remedy = "systemctl --root " + u.root + " disable " + unit
		}
		c.done(nil, fmt.Sprintf("warning: %s %s and is in no file of this call: %s", unit,
			state[unit], remedy))
	}
}

// kinds are the patterns of the units that the call replaces.
func (u *installUnits) kinds() (patterns []string) {
	if len(u.shares) > 0 {
		patterns = append(patterns, "worker@?*.service", "worker.service")
	}
	if u.dashboards.streams > 0 {
		patterns = append(patterns, "dashboard-stream@?*.service")
	}
	return patterns
}

// enabledUnits are those that another unit wants.
func (u *installUnits) enabledUnits() (units []string) {
	for _, pattern := range u.kinds() {
		links, err := filepath.Glob(filepath.Join(u.root, unitDir, "*.wants", pattern))
		if err != nil {
			panic(err) // the pattern is wrong: a mistake in this program
		}
		for _, link := range links {
			units = append(units, strings.TrimSuffix(filepath.Base(link), ".service"))
		}
	}
	return units
}

// runningUnits are those that run on this machine, also while they start again. They are no
// business of a call with --root.
func (u *installUnits) runningUnits() (units []string) {
	kinds := u.kinds()
	if u.root != "" || len(kinds) == 0 { // without patterns, systemctl lists all units
		return nil
	}
	out, err := exec.Command("systemctl", append([]string{"list-units", "--plain", "--no-legend",
		"--state=active,activating,reloading"}, kinds...)...).Output()
	if err != nil {
		return nil // without systemd, no unit runs
	}
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 0 {
			units = append(units, strings.TrimSuffix(words[0], ".service"))
		}
	}
	return units
}
