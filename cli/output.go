package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// logTo is where the log goes: Stdout, also after its reader has gone away. Without this, Go ends a
// process that writes to a standard output which nobody reads, in the middle of its jobs.
func (a *App) logTo() io.Writer {
	file, ok := a.Stdout.(*os.File)
	if !ok || file != os.Stdout {
		return a.Stdout
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a write then fails with EPIPE
	return &logWriter{File: file, errors: a.Stderr, name: a.Name}
}

// logWriter writes the log for as long as somebody reads it.
type logWriter struct {
	*os.File
	errors io.Writer
	name   string
	once   sync.Once
}

// Write never fails: a log that cannot be written is no reason to stop.
func (w *logWriter) Write(b []byte) (int, error) {
	if _, err := w.File.Write(b); errors.Is(err, syscall.EPIPE) {
		w.once.Do(func() {
			fmt.Fprintf(w.errors, "%s: nobody reads the log any more: the worker goes on "+
				"without it\n", w.name)
		})
	}
	return len(b), nil
}
