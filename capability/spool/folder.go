package spool

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The endings of the files' names in the folder of a spool. A name begins with a number that counts
// up.
const (
	kindSpool   = ".spool"   // jobs that are to be pushed
	kindAside   = ".aside"   // jobs that Redis refused
	kindDamaged = ".damaged" // one of these of which bytes cannot be read
)

// folder is the folder of a spool. One Spool at a time uses it.
type folder struct {
	path string
	lock *os.File
	last uint64 // the number of the newest file
}

// openFolder makes the folder if there is none, and locks it. The lock ends with the process.
func openFolder(path string) (*folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: give each process a folder of its own", ErrInUse)
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	return &folder{path: path, lock: f}, nil
}

// files returns the paths of the files with jobs, in the order of their numbers.
func (f *folder) files() ([]string, error) {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return nil, err
	}
	numbers := map[string]uint64{}
	var paths []string
	for _, e := range entries {
		kind := filepath.Ext(e.Name())
		number, _, _ := strings.Cut(e.Name(), ".")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			continue
		}
		f.last = max(f.last, n)
		if kind == kindSpool || kind == kindAside {
			path := filepath.Join(f.path, e.Name())
			numbers[path], paths = n, append(paths, path)
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(numbers[a], numbers[b]) })
	return paths, nil
}

// create makes a new segment, and makes sure that it is there after a crash.
func (f *folder) create(kind string) (*segment, error) {
	f.last++
	s, err := createSegment(filepath.Join(f.path, fmt.Sprintf("%08d%s", f.last, kind)))
	if err != nil {
		return nil, err
	}
	if err := f.sync(); err != nil {
		s.file.Close()
		os.Remove(s.path)
		return nil, err
	}
	return s, nil
}

// remove ends a segment: it removes the file, or keeps it under another name if a part of it could
// not be read.
func (f *folder) remove(s *segment) error {
	defer s.file.Close()
	if s.damaged {
		return os.Rename(s.path, s.path+kindDamaged)
	}
	return errors.Join(os.Remove(s.path), f.sync())
}

// sync makes sure that the names of the files are on the disk.
func (f *folder) sync() error {
	dir, err := os.Open(f.path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (f *folder) close() error { return f.lock.Close() }
