package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// userDropIn lets the programs run as a user of the system, in place of one that systemd makes up.
// It is for a Postgres that takes a user of the system without a password (peer), as a stock
// Mastodon has it. %s is the user.
const userDropIn = `# Written by workerctl install-units --user: Postgres takes this user over its
# socket without a password (peer in pg_hba.conf).
[Service]
DynamicUser=no
User=%s
# The user has other processes, whose shared memory a stop must not remove.
RemoveIPC=no
`

// userName is the name of a user of the system.
var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)

// userDropIns are the paths of the drop-in.
func userDropIns(root string) (paths []string) {
	for _, unit := range []string{"worker@.service", "worker.service", "dashboard.service"} {
		paths = append(paths, filepath.Join(root, unitDir, unit+".d", "user.conf"))
	}
	return paths
}

// writeUser writes the drop-in of --user.
func (u *installUnits) writeUser(c *call) error {
	if u.user == "" {
		return nil
	}
	for _, path := range userDropIns(u.root) {
		if !u.about(filepath.Base(filepath.Dir(path))) {
			continue
		}
		if err := c.write(path, fmt.Sprintf(userDropIn, u.user), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// removeUser removes the drop-in.
func (u *uninstallUnits) removeUser(c *call) error {
	for _, path := range userDropIns(u.root) {
		if err := os.Remove(path); err == nil {
			c.done(nil, "removed "+path)
			os.Remove(filepath.Dir(path)) // stays if the admin has other files there
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
