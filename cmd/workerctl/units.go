package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	units "github.com/kyujobs/kyu/deploy/systemd"
	"github.com/kyujobs/kyu/queue/envelope"
)

const (
	unitDir    = "/etc/systemd/system"
	packageDir = "/lib/systemd/system"
	configDir  = "/etc/kyu"
)

// share is one process of a split: an instance and its threads.
type share struct {
	instance string
	threads  int
}

// parseSplit reads default=15,push=25,push-2=25.
func parseSplit(text string) ([]share, error) {
	var list []share
	seen := map[string]bool{}
	for _, part := range strings.Split(text, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(number)
		if !envelope.ValidName(name) || strings.Contains(name, ":") ||
			err != nil || n < 1 || seen[name] {
			return nil, fmt.Errorf("--split %q: want INSTANCE=THREADS, each once, such as "+
				"default=15,push=25,push-2=25", part)
		}
		seen[name] = true
		list = append(list, share{name, n})
	}
	return list, nil
}

// installUnits writes the units and an environment file per instance. What an
// admin has changed in /etc/kyu is kept.
func (c *ctl) installUnits(_ context.Context, words []string) error {
	if len(words) > 0 || c.split == "" {
		return fmt.Errorf("%w: install-units --split default=15,push=25,…: want the threads of "+
			"every process", errUsage)
	}
	shares, err := parseSplit(c.split)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	names, err := fs.Glob(units.Units, "*")
	if err != nil {
		return err
	}
	var written []string
	packaged := c.packaged()
	for _, name := range names {
		if packaged {
			break
		}
		b, err := units.Units.ReadFile(name)
		if err != nil {
			return err
		}
		path := filepath.Join(c.root, unitDir, name)
		if strings.HasSuffix(name, ".example") {
			path = filepath.Join(c.root, configDir, name)
		} else {
			written = append(written, path)
		}
		if err := c.write(path, string(b), 0o644); err != nil {
			return err
		}
	}
	for _, s := range shares {
		text := fmt.Sprintf("# Of worker@%s. Written by workerctl install-units; yours to "+
			"change.\nWORKER_ARGS=-c %d\nDB_POOL=%d\n", s.instance, s.threads, s.threads)
		if err := c.keep(filepath.Join(c.root, configDir, s.instance+".env"), text,
			0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"redis_url", "database_url"} {
		if err := c.keep(filepath.Join(c.root, configDir, name), "", 0o600); err != nil {
			return err
		}
	}
	if packaged {
		fmt.Fprintln(c.out, "the units are the package's, in "+packageDir)
	} else if err := c.verify(written); err != nil {
		return err
	}
	return c.budget(shares)
}

// packaged reports whether a package has brought the units: copies in unitDir
// would hide those of its next version.
func (c *ctl) packaged() bool {
	_, err := os.Stat(filepath.Join(c.root, packageDir, "worker@.service"))
	return err == nil
}

func (c *ctl) write(path, text string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return fmt.Errorf("%w: install-units needs the rights of root", err)
	}
	return c.done(nil, "wrote "+path)
}

// keep writes a file that is not there yet.
func (c *ctl) keep(path, text string, mode os.FileMode) error {
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return c.write(path, text, mode)
	case err != nil:
		return err
	case text != "" && string(old) != text:
		return c.done(nil, "kept  "+path+": it differs from what would be written:\n        "+
			strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        "))
	}
	return c.done(nil, "kept  "+path)
}

// verify lets systemd check the units, where it is installed.
func (c *ctl) verify(paths []string) error {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		return c.done(nil, "not checked: systemd-analyze is not installed")
	}
	out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"},
		paths...)...).CombinedOutput()
	var ours []string
	for line := range strings.Lines(string(out)) {
		// The program may be installed later.
		if strings.Contains(line, "worker") && !strings.Contains(line, "is not executable") {
			ours = append(ours, strings.TrimSpace(line))
		}
	}
	if len(ours) > 0 {
		return fmt.Errorf("systemd-analyze verify: %s (%v)", strings.Join(ours, "; "), err)
	}
	return c.done(nil, "checked by systemd-analyze verify")
}

// budget prints what the split costs, and what to do next.
func (c *ctl) budget(shares []share) error {
	fmt.Fprintln(c.out)
	t := c.table()
	t.row("UNIT", "THREADS", "POSTGRES CONNECTIONS")
	total, names := 0, []string{"worker.target"}
	for _, s := range shares {
		t.row("worker@"+s.instance, s.threads, s.threads)
		total += s.threads
		names = append(names, "worker@"+s.instance)
	}
	t.row("in all", total, total)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.out, `
Postgres, or PgBouncer's max_client_conn, must have room for %d connections `+
		`beside those of web processes;
the default of max_connections is 100, less 3 that are reserved.

Next:
  1. Put the addresses into %s/redis_url and %s/database_url: one line each, `+
		`such as redis://localhost:6379/0.
  2. systemctl daemon-reload
  3. systemctl enable --now %s
`, total, configDir, configDir, strings.Join(names, " "))
	return nil
}

// uninstallUnits removes the units. The files in /etc/kyu are the admin's: they go
// only with --purge.
func (c *ctl) uninstallUnits(_ context.Context, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%w: uninstall-units takes no arguments", errUsage)
	}
	if out, err := exec.Command("systemctl", "list-units", "--plain", "--no-legend",
		"--state=active", "worker@*", "worker.service").Output(); c.root == "" && err == nil &&
		len(out) > 0 {
		return fmt.Errorf("some are running: first `systemctl disable --now worker.target "+
			"'worker@*'`:\n%s", out)
	}
	names, err := fs.Glob(units.Units, "*")
	if err != nil {
		return err
	}
	for _, name := range names {
		dir := unitDir
		if strings.HasSuffix(name, ".example") {
			dir = configDir
		}
		path := filepath.Join(c.root, dir, name)
		if err := os.Remove(path); err == nil {
			fmt.Fprintln(c.out, "removed", path)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	config := filepath.Join(c.root, configDir)
	if !c.purge {
		return c.done(nil, "kept    "+config+": --purge removes it too. Then: systemctl "+
			"daemon-reload")
	}
	if err := c.confirm("Delete " + config + " with the addresses in it"); err != nil {
		return err
	}
	return c.done(os.RemoveAll(config), "removed "+config+". Then: systemctl daemon-reload")
}
