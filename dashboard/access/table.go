package access

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	recheck = time.Second // how long a file is believed before it is read again
	maxFile = 1 << 20     // bytes
)

// table is the content of a file. The file is read again when the table is asked for, at most
// once a second, so a change counts after a second. While the file is wrong or cannot be read,
// there is no content: a person who was removed must not stay because another line has a mistake.
type table[T any] struct {
	path  string
	parse func(path, text string) (T, error)
	log   *slog.Logger

	mu      sync.Mutex
	checked time.Time
	text    string
	value   T
	err     error
}

// get returns the content, or what is wrong with the file.
func (t *table[T]) get() (T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, first := time.Now(), t.checked.IsZero()
	if !first && now.Sub(t.checked) < recheck {
		return t.value, t.err
	}
	t.checked = now
	text, err := readPrivate(t.path)
	if !first && err == nil && t.err == nil && text == t.text {
		return t.value, nil
	}
	before := t.err
	t.text = text
	if t.err = err; err == nil {
		t.value, t.err = t.parse(t.path, text)
	}
	if t.err != nil {
		t.value = *new(T)
	}
	switch {
	case first:
	case t.err == nil:
		t.log.Info("read a changed file", "file", t.path)
	case before == nil || before.Error() != t.err.Error():
		t.log.Error("a file is wrong, so it lets nobody in", "file", t.path, "error", t.err)
	}
	return t.value, t.err
}

// readPrivate returns the text of a file that other users of the machine can neither read nor
// change.
func readPrivate(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return "", fmt.Errorf("%s has mode %04o, so other users of this machine can read or "+
			"change it: run chmod 640 %s", path, mode, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return string(b), nil
}

// entry is a line of a users or tokens file.
type entry struct {
	Person
	secret string // a hash of the password or token
}

var personName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{M}\p{N}._@+-]{0,63}$`)

// checkName returns an error for a name that no file may have.
func checkName(name string) error {
	if !personName.MatchString(name) {
		return errors.New("the name is not 1 to 64 letters, digits and ._@+-")
	}
	return nil
}

// parseEntries reads lines NAME:ROLE:SECRET. Empty lines and those that begin with # are left
// out. The error names all wrong lines; it does not repeat them, because they hold secrets.
func parseEntries(path, text string, check func(secret string) error) ([]entry, error) {
	var entries []entry
	var problems []error
	lines := map[string]int{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		e, err := parseEntry(line, check)
		if first := lines[e.Name]; err == nil && first > 0 {
			err = fmt.Errorf("the name %q is in line %d too", e.Name, first)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s, line %d: %w", path, n, err))
			continue
		}
		lines[e.Name] = n
		entries = append(entries, e)
	}
	if len(entries)+len(problems) == 0 {
		problems = append(problems, fmt.Errorf("%s names nobody", path))
	}
	return entries, errors.Join(problems...)
}

func parseEntry(line string, check func(secret string) error) (e entry, err error) {
	words := strings.Split(line, ":")
	if len(words) != 3 {
		return e, errors.New("it is not NAME:ROLE:HASH")
	}
	e.Name, e.secret = words[0], words[2]
	if e.Role, err = ParseRole(words[1]); err != nil {
		err = errors.New("the role is not viewer, operator or admin") // words[1] may be a secret
	}
	return e, errors.Join(checkName(e.Name), err, check(e.secret))
}
