// Package testjobs are the handlers that load and fault tests use. The program
// registers them only with --test-jobs.
package testjobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/kyujobs/kyu/worker"
)

// Sleeper holds a database connection for a while.
type Sleeper interface {
	Sleep(ctx context.Context, d time.Duration) error
}

type millis struct{ MS int64 }

func (m millis) duration() time.Duration { return time.Duration(m.MS) * time.Millisecond }

// Register adds the Test:: classes.
func Register(m *worker.Mux, db Sleeper) {
	worker.Handle(m, "Test::NoOp", func(context.Context, []json.RawMessage) error { return nil })
	worker.Handle(m, "Test::Sleep", func(ctx context.Context, a millis) error { return sleep(ctx, a.duration()) })
	worker.Handle(m, "Test::CPU", burn)
	worker.Handle(m, "Test::Fail", func(_ context.Context, text string) error { return errors.New(text) })
	worker.Handle(m, "Test::Panic", func(_ context.Context, text string) error { panic(text) })
	worker.Handle(m, "Test::Exit", func(_ context.Context, code int) error { os.Exit(code); return nil })
	worker.Handle(m, "Test::Hang", func(context.Context, []json.RawMessage) error { select {} },
		worker.Options{Timeout: time.Second})
	worker.Handle(m, "Test::Ledger", ledger)
	worker.Handle(m, "Test::Stamp", stamp)
	worker.Handle(m, "Test::DB", func(ctx context.Context, a millis) error {
		return db.Sleep(ctx, a.duration())
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// burn keeps a core busy.
func burn(ctx context.Context, a millis) error {
	for end := time.Now().Add(a.duration()); time.Now().Before(end); {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

type stampArgs struct {
	Path   string
	Pushed int64 // microseconds since 1970
}

// stamp writes how many microseconds after its push it was started.
func stamp(_ context.Context, a stampArgs) error {
	waited := time.Now().UnixMicro() - a.Pushed
	f, err := os.OpenFile(a.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, waited)
	return err
}

type ledgerArgs struct {
	Path string
	ID   string
	MS   int64
}

// ledger writes "start ID" and, after sleeping, "end ID": each with one write to
// a file opened for appending, so that lines of several processes do not mix
// and what was written survives a kill.
func ledger(ctx context.Context, a ledgerArgs) error {
	f, err := os.OpenFile(a.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "start %s\n", a.ID); err != nil {
		return err
	}
	if err := sleep(ctx, time.Duration(a.MS)*time.Millisecond); err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "end %s\n", a.ID)
	return err
}
