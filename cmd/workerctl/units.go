package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	units "github.com/kyujobs/kyu/deploy/systemd"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	unitDir    = "/etc/systemd/system"
	packageDir = "/usr/lib/systemd/system"
	configDir  = "/etc/kyu"
)

// installUnits writes the units of systemd, and an environment file per instance.
type installUnits struct {
	root, split, user, rotate string
	threads                   int     // of each process of rotate
	shares                    []share // of split or rotate; check reads them
}

func (c *call) installUnitsCommand() *cobra.Command {
	u := &installUnits{}
	cmd := c.local("install-units", "write systemd's units for one process per queue", u.run)
	cmd.Long = "write systemd's units, and the settings of one process per queue (--split), or\n" +
		"of processes that serve all queues, each with another queue first (--rotated);\n" +
		"settings that exist are kept"
	cmd.Example = "workerctl install-units --split default=15,push=25\n" +
		"workerctl install-units --rotated default,push,mailers,pull --threads 5"
	cmd.Args = checked(u.check)
	u.flags(cmd.Flags())
	return cmd
}

func (u *installUnits) flags(f *pflag.FlagSet) {
	f.StringVar(&u.split, "split", "", "`INSTANCE=THREADS,...`; push-2 is a second process of the "+
		"queue push")
	f.StringVar(&u.user, "user", "", "run as this `USER` of the system, such as mastodon, for a "+
		"Postgres that takes it without a password (peer)")
	f.StringVar(&u.rotate, "rotated", "", "`QUEUE,...`: a process for each queue, which serves it "+
		"first and then the others")
	f.IntVar(&u.threads, "threads", 5, "with --rotated: the `THREADS` of each process")
	rootFlag(f, &u.root)
}

func rootFlag(f *pflag.FlagSet, root *string) {
	f.StringVar(root, "root", "", "below this `DIRECTORY` instead of /")
}

func (u *installUnits) check(words []string) error {
	if len(words) > 0 || (u.split == "") == (u.rotate == "") {
		return errors.New("want --split default=15,push=25,…, the threads of every process, or " +
			"--rotated default,push,…")
	}
	if u.user != "" && (!userName.MatchString(u.user) || u.user == "root") {
		return fmt.Errorf("--user %q: want a user of the system that is not root, such as mastodon",
			u.user)
	}
	if u.rotate != "" {
		r, err := parseRotation(u.rotate, u.threads)
		if err == nil {
			u.shares = r.shares()
		}
		return err
	}
	shares, err := parseSplit(u.split)
	u.shares = shares
	return err
}

// share is one process of a split: an instance and its threads.
type share struct {
	instance string
	threads  int
	queues   []string // in their order; nil: the queue that the instance names
}

// args are the flags of the worker.
func (s share) args() string {
	text := fmt.Sprintf("-c %d", s.threads)
	for _, q := range s.queues {
		text += " -q " + q
	}
	return text
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
		list = append(list, share{name, n, nil})
	}
	return list, nil
}

func (u *installUnits) run(_ context.Context, c *call, _ []string) error {
	packaged := u.packaged()
	var written []string
	if !packaged {
		var err error
		if written, err = u.writeUnits(c); err != nil {
			return err
		}
	}
	if err := errors.Join(u.writeUser(c), u.writeSettings(c)); err != nil {
		return err
	}
	if packaged {
		c.done(nil, "the units are the package's, in "+packageDir)
	} else if err := c.verifyUnits(written); err != nil {
		return err
	}
	return c.printSplit(u.shares)
}

// packaged reports whether a package has installed the units. Copies in unitDir would hide
// the units of the package's next version.
func (u *installUnits) packaged() bool {
	_, err := os.Stat(filepath.Join(u.root, packageDir, "worker@.service"))
	return err == nil
}

// unitPaths are the names of the embedded files with the paths that they are installed to.
func unitPaths(root string) (map[string]string, error) {
	names, err := fs.Glob(units.Units, "*")
	paths := map[string]string{}
	for _, name := range names {
		paths[name] = filepath.Join(root, unitDir, name)
		if isExample(name) {
			paths[name] = filepath.Join(root, configDir, name)
		}
	}
	return paths, err
}

func isExample(name string) bool { return strings.HasSuffix(name, ".example") }

// writeUnits writes the units and the example, and returns the paths of the units.
func (u *installUnits) writeUnits(c *call) (written []string, err error) {
	paths, err := unitPaths(u.root)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		b, err := units.Units.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := c.write(paths[name], string(b), 0o644); err != nil {
			return nil, err
		}
		if !isExample(name) {
			written = append(written, paths[name])
		}
	}
	return written, nil
}

// writeSettings writes the settings that do not exist yet. Those that exist are the
// admin's.
func (u *installUnits) writeSettings(c *call) error {
	config := filepath.Join(u.root, configDir)
	for _, s := range u.shares {
		text := fmt.Sprintf("# Of worker@%s. Written by workerctl install-units; yours to "+
			"change.\nWORKER_ARGS=%s\nDB_POOL=%d\n", s.instance, s.args(), s.threads)
		if err := c.keep(filepath.Join(config, s.instance+".env"), text, 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"redis_url", "database_url"} {
		if err := c.keep(filepath.Join(config, name), "", 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) write(path, text string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return fmt.Errorf("%w: install-units needs the rights of root", err)
	}
	return c.done(nil, "wrote "+path)
}

// keep writes a file that does not exist yet. If it exists, keep prints how it differs.
func (c *call) keep(path, text string, mode os.FileMode) error {
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

// verifyUnits lets systemd check the units, if it is installed.
func (c *call) verifyUnits(paths []string) error {
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

// printSplit prints the connections that the split needs, and the next steps.
func (c *call) printSplit(shares []share) error {
	if c.json() {
		return nil
	}
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
