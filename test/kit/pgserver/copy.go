package pgserver

import (
	"os"
	"os/exec"
	"path/filepath"
)

// StartCopy starts an empty server as Start does, but without initdb, which takes two seconds of
// CPU time. It copies the files of an empty server, which the first call puts into the user's
// cache directory.
func StartCopy(settings ...string) (*Server, error) {
	files, err := emptyFiles()
	if err != nil {
		return nil, err
	}
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := copyAll(files, s.data()); err != nil {
		s.Remove()
		return nil, err
	}
	return s.serve(settings)
}

// emptyFiles is the directory in the cache, one for each version of PostgreSQL.
func emptyFiles() (string, error) {
	initdb, err := binary("initdb") // such as /usr/lib/postgresql/15/bin/initdb
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "kyu-tests")
	files := filepath.Join(cache, "postgresql-"+filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	if _, err := os.Stat(files); err == nil {
		return files, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	return files, makeEmptyFiles(cache, files)
}

// makeEmptyFiles makes them under another name first, so that other processes see all or none.
func makeEmptyFiles(cache, files string) error {
	s, err := empty()
	if err != nil {
		return err
	}
	defer s.Remove()
	dir, err := os.MkdirTemp(cache, "making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "data")
	if err := copyAll(s.data(), made); err != nil {
		return err
	}
	if err := os.Rename(made, files); err != nil && !os.IsExist(err) {
		return err
	}
	return nil // another process may have been faster
}

// copyAll copies a directory with the owners and the modes of its files.
func copyAll(from, to string) error {
	return exec.Command("cp", "-a", from, to).Run()
}
