package cli

import (
	"errors"
	"io"
	"path/filepath"

	"github.com/kyujobs/kyu/worker"
	"github.com/spf13/pflag"
)

// Check reads args, the environment of Getenv and the files that they name, as Run does, and
// returns the configuration of the worker. If Run would start no worker, Check returns all problems
// in one error. The files are below the directory root, where the worker finds them below /. Check
// connects to nothing, prints nothing, and may be called once, in place of Run.
func (a *App) Check(root string, args []string) (worker.Config, error) {
	a.Stdout, a.Stderr = io.Discard, io.Discard
	o, err := a.parse(args)
	if errors.Is(err, pflag.ErrHelp) || err == nil && (o.version || o.printConfig || o.check) {
		err = errors.New("--help, --man, --version, --print-config and --check end the worker " +
			"before it takes a job")
	}
	if err != nil {
		return worker.Config{}, err
	}
	o.root = root
	s := a.resolve(o)
	return s.worker, s.problems
}

// path is where a file is that a flag names, or the file of the flags.
func (o *options) path(name string) string {
	if o.root == "" || name == "" {
		return name
	}
	return filepath.Join(o.root, name)
}
