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
	"strings"

	units "github.com/kyujobs/kyu/deploy/systemd"
	"github.com/kyujobs/kyu/internal/mastodon"
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
	dashboards              dashboards
	root, split, user       string
	rotate, queues, rotated string
	threads                 int // of each process of rotated
	force                   bool
	given                   func(flag string) bool
	shares                  []share          // of split, rotate or rotated; check reads them
	needs                   []mastodon.Needs // of shares; check finds them out
	refused                 error            // why workers would not start, with force
	rotation                *rotation        // of rotate or rotated
}

func (c *call) installUnitsCommand() *cobra.Command {
	u := &installUnits{}
	cmd := c.local("install-units", "write systemd's units of workers and dashboards", u.run)
	cmd.Long = "write systemd's units, and the settings of one process per queue (--split), or\n" +
		"of processes that serve all queues, each with another queue first (--rotate);\n" +
		"with --dashboard and --streams those of the dashboard, with workers or alone;\n" +
		"settings that exist are kept and shown; settings that a worker would refuse are\n" +
		"refused before anything is written"
	cmd.Example = "workerctl install-units --split default=15,push=25\n" +
		"workerctl install-units --rotate 4x5\n" +
		"workerctl install-units --rotate 6x10 --queues default,push,pull\n" +
		"workerctl install-units --dashboard --streams 2"
	cmd.Args = checked(u.check)
	u.flags(cmd.Flags())
	return cmd
}

func (u *installUnits) flags(f *pflag.FlagSet) {
	f.StringVar(&u.split, "split", "", "`INSTANCE=THREADS,...`; push-2 is a second process of the "+
		"queue push")
	f.StringVar(&u.rotate, "rotate", "", "`PROCESSESxTHREADS`: processes that serve all queues, "+
		"each with another queue first")
	f.StringVar(&u.queues, "queues", "", "with --rotate: the queues, `QUEUE,...` (default: "+
		strings.Join(standardQueues(), ",")+")")
	f.StringVar(&u.user, "user", "", "run as this `USER` of the system, such as mastodon, for a "+
		"Postgres that takes it without a password (peer)")
	f.BoolVar(&u.force, "force", false, "write although a worker would refuse the settings: a "+
		"program of your own has flags of its own")
	f.StringVar(&u.rotated, "rotated", "", "`QUEUE,...`: the same as --rotate with a process for "+
		"each queue")
	f.IntVar(&u.threads, "threads", 5, "with --rotated: the `THREADS` of each process")
	u.dashboards.flags(f)
	rootFlag(f, &u.root)
	u.given = f.Changed
}

func rootFlag(f *pflag.FlagSet, root *string) {
	f.StringVar(root, "root", "", "below this `DIRECTORY` instead of /")
}

// check finds all problems of the call and of the settings that its workers would read.
func (u *installUnits) check(words []string) error {
	kinds := 0
	for _, flag := range []string{"split", "rotate", "rotated"} {
		if u.given(flag) {
			kinds++
		}
	}
	if err := u.dashboards.check(); err != nil {
		return err
	}
	if len(words) > 0 || kinds > 1 || kinds == 0 && !u.dashboards.any() {
		return errors.New("want --split default=15,push=25,…, the threads of every process, or " +
			"--rotate 4x5, processes and their threads, or --rotated default,push,…; or " +
			"--dashboard or --streams 2")
	}
	problems := []error{u.readShares()}
	if u.given("queues") && u.rotate == "" {
		problems = append(problems, errors.New("--queues goes with --rotate 4x5"))
	}
	if u.given("threads") && u.rotated == "" {
		problems = append(problems, errors.New("--threads goes with --rotated; --split "+
			"default=15 and --rotate 4x5 have the threads in their values"))
	}
	if u.user != "" && (!userName.MatchString(u.user) || u.user == "root") {
		problems = append(problems, fmt.Errorf("--user %q: want a user of the system that is not "+
			"root, such as mastodon", u.user))
	}
	for _, s := range u.shares {
		needs, err := u.examine(s)
		u.needs, u.refused = append(u.needs, needs), errors.Join(u.refused, err)
	}
	if u.refused != nil && !u.force {
		problems = append(problems, u.refused, errors.New("nothing was written: change the flags "+
			"or the files that are kept; --force writes all the same"))
	}
	return errors.Join(problems...)
}

// readShares reads the processes of --split, --rotate or --rotated.
func (u *installUnits) readShares() (err error) {
	switch {
	case u.given("split"):
		u.shares, err = parseSplit(u.split)
		return err
	case u.given("rotate"):
		u.rotation, err = parseRotation(u.rotate, u.queues)
	case u.given("rotated"):
		u.rotation, err = parseRotated(u.rotated, u.threads)
	}
	if err == nil && u.rotation != nil {
		u.shares = u.rotation.shares()
	}
	return err
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
		u.reportHiding(c)
	} else if err := c.verifyUnits(written); err != nil {
		return err
	}
	u.reportLeft(c)
	if u.refused != nil {
		c.done(nil, "warning: "+strings.ReplaceAll(u.refused.Error(), "\n", "\nwarning: "))
	}
	if u.rotation != nil && len(u.rotation.neverFirst()) > 0 {
		c.done(nil, fmt.Sprintf("warning: no process takes %s first: a full queue before them "+
			"stops them; --rotate %dx%d has a process for each queue",
			strings.Join(u.rotation.neverFirst(), ", "), len(u.rotation.Queues),
			u.rotation.Threads))
	}
	return u.printNeeds(c)
}

// packaged reports whether a package has installed the units. Copies in unitDir would hide
// the units of the package's next version.
func (u *installUnits) packaged() bool {
	_, err := os.Stat(filepath.Join(u.root, packageDir, "worker@.service"))
	return err == nil
}

// reportHiding names the units that an earlier call without the package has written.
func (u *installUnits) reportHiding(c *call) {
	paths, err := unitPaths(u.root)
	if err != nil {
		panic(err) // the pattern is wrong: a mistake in this program
	}
	for _, unit := range slices.Sorted(maps.Keys(paths)) {
		path := paths[unit]
		if _, err := os.Lstat(path); err == nil && !isExample(unit) {
			c.done(nil, "warning: "+path+" hides the unit of the package: workerctl "+
				"uninstall-units removes it")
		}
	}
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

// writeUnits writes the units and the examples of what the call is about, and returns the paths of
// the units.
func (u *installUnits) writeUnits(c *call) (written []string, err error) {
	paths, err := unitPaths(u.root)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		if !u.about(name) {
			continue
		}
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

func (c *call) write(path, text string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return fmt.Errorf("%w: install-units needs the rights of root", err)
	}
	return c.done(nil, "wrote "+path)
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
		if (strings.Contains(line, "worker") || strings.Contains(line, "dashboard")) &&
			!strings.Contains(line, "is not executable") {
			ours = append(ours, strings.TrimSpace(line))
		}
	}
	if len(ours) > 0 {
		return fmt.Errorf("systemd-analyze verify: %s (%v)", strings.Join(ours, "; "), err)
	}
	return c.done(nil, "checked by systemd-analyze verify")
}

// printNeeds prints the threads and connections of the settings as they now are, and the next
// steps.
func (u *installUnits) printNeeds(c *call) error {
	if c.json() {
		return nil
	}
	fmt.Fprintln(c.out)
	names := u.dashboards.units()
	if len(u.shares) > 0 {
		workers, err := u.printShares(c)
		if err != nil {
			return err
		}
		names = append(workers, names...)
	}
	steps := slices.Concat([]string{fmt.Sprintf("Put the addresses into %s/redis_url and "+
		"%s/database_url: one line each, such as redis://localhost:6379/0.", configDir,
		configDir)}, u.dashboardSteps(), []string{"systemctl daemon-reload",
		"systemctl enable --now " + strings.Join(names, " ")})
	fmt.Fprintln(c.out, "Next:")
	for i, step := range steps {
		fmt.Fprintf(c.out, "  %d. %s\n", i+1, step)
	}
	return nil
}

// printShares prints what the workers take, and returns the names of their units.
func (u *installUnits) printShares(c *call) (names []string, err error) {
	t := c.table()
	t.row("UNIT", "THREADS", "POSTGRES CONNECTIONS")
	threads, total := 0, 0
	names = append(names, "worker.target")
	for i, s := range u.shares {
		t.row(s.unit(), u.needs[i].Threads, u.needs[i].Connections)
		threads += u.needs[i].Threads
		total += u.needs[i].Connections
		names = append(names, s.unit())
	}
	t.row("in all", threads, total)
	if err := t.Flush(); err != nil {
		return nil, err
	}
	fmt.Fprintf(c.out, "\nPostgres, or PgBouncer's max_client_conn, must have room for %d "+
		"connections beside those of web processes;\nthe default of max_connections is 100, less "+
		"3 that are reserved.\n\n", total)
	return names, nil
}
