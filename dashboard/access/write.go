package access

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// SetUser puts a line of HashLine into a users file, in place of the user's line if there is one.
// The file is replaced in one step. A new file has mode 0600; one that exists keeps its owner, its
// mode and its other lines. replaced reports whether the user was there before.
func SetUser(path, name string, role Role, password string) (replaced bool, err error) {
	line, err := HashLine(name, role, password)
	if err != nil {
		return false, err
	}
	return setLine(path, name, line, func(text string) error {
		_, err := parseUsers(path, text)
		return err
	})
}

// SetToken makes a token (see NewToken), and puts its line into a tokens file as SetUser does.
func SetToken(path, name string, role Role) (token string, replaced bool, err error) {
	token, line, err := NewToken(name, role)
	if err != nil {
		return "", false, err
	}
	replaced, err = setLine(path, name, line, func(text string) error {
		_, err := parseTokens(path, text)
		return err
	})
	return token, replaced, err
}

const fileHead = "# NAME:ROLE:HASH; the roles are viewer, operator and admin.\n"

// setLine sets the line of a name. While it works, the file is locked: of several calls at once,
// none loses the line of another. A file that would be wrong afterwards stays as it is.
func setLine(path, name, line string, check func(text string) error) (replaced bool, err error) {
	unlock, err := lock(path)
	if err != nil {
		return false, err
	}
	defer unlock()
	text, err := readPrivate(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	if text == "" {
		text = fileHead
	}
	var b strings.Builder
	for old := range strings.Lines(text) {
		if strings.HasPrefix(old, name+":") {
			if !replaced {
				fmt.Fprintln(&b, line)
			}
			replaced = true
			continue
		}
		b.WriteString(strings.TrimSuffix(old, "\n") + "\n")
	}
	if !replaced {
		fmt.Fprintln(&b, line)
	}
	if err := check(b.String()); err != nil {
		return false, fmt.Errorf("%w\nnothing was changed: correct the file first", err)
	}
	return replaced, replaceFile(path, b.String())
}

// lock locks the folder of a file: the file itself is replaced.
func lock(path string) (unlock func(), err error) {
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil // closing unlocks
}

// replaceFile replaces a file in one step, and keeps its owner and mode. After a crash there is
// either the old or the new text.
func replaceFile(path, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if info, err := os.Stat(path); err == nil {
		stat := info.Sys().(*syscall.Stat_t)
		if err := errors.Join(f.Chown(int(stat.Uid), int(stat.Gid)),
			f.Chmod(info.Mode().Perm())); err != nil {
			return err
		}
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
