// Package testjobs holds the handlers of the classes Test::*, which tests, fault tests and load
// tests push; some break things on purpose. test/kit/testworker registers them if it is started
// with --test-jobs.
package testjobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/internal/kerneltimer"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// Database is the Postgres of the test jobs.
type Database interface {
	// Sleep holds a connection for a while.
	Sleep(ctx context.Context, d time.Duration) error
	Pool() *pgxpool.Pool
}

type millis struct{ MS int64 }

func (m millis) duration() time.Duration { return time.Duration(m.MS) * time.Millisecond }

// Register adds the classes Test::*. Test::DB and Test::DBLedger use db; Test::Family pushes to
// store.
func Register(m *worker.Mux, db Database, store *queue.Store) {
	worker.Handle(m, "Test::NoOp", func(context.Context, []json.RawMessage) error { return nil })
	worker.Handle(m, "Test::Sleep", func(ctx context.Context, a millis) error {
		return sleep(ctx, a.duration())
	})
	worker.Handle(m, "Test::Wait", func(_ context.Context, a millis) error {
		return kerneltimer.Sleep(a.duration())
	})
	worker.Handle(m, "Test::CPU", burn)
	worker.Handle(m, "Test::Eat", eat)
	// Ruby gives each of them other options; the job is the same.
	for _, class := range []string{"Test::Fail", "Test::NoRetry", "Test::Zero"} {
		worker.Handle(m, class, func(_ context.Context, text string) error {
			return errors.New(text)
		})
	}
	worker.Handle(m, "Test::FailAfter", failAfter)
	worker.Handle(m, "Test::Spin", spin, worker.Options{Timeout: time.Second})
	worker.Handle(m, "Test::Fault", fault)
	worker.Handle(m, "Test::Panic", func(_ context.Context, text string) error { panic(text) })
	worker.Handle(m, "Test::Exit", func(_ context.Context, code int) error {
		os.Exit(code)
		return nil
	})
	worker.Handle(m, "Test::Hang", func(context.Context, []json.RawMessage) error { select {} },
		worker.Options{Timeout: time.Second})
	worker.Handle(m, "Test::Record", func(ctx context.Context, _ []json.RawMessage) error {
		return record(ctx, "run")
	})
	worker.Handle(m, "Test::Slow", slow)
	worker.HandleIterable(m, "Test::Iter", iter)
	registerLedger(m, store)
	worker.Handle(m, "Test::Stamp", stamp)
	worker.Handle(m, "Test::Work", work)
	worker.Handle(m, "Test::DBLedger", func(ctx context.Context, a dbLedgerArgs) error {
		for range a.Queries {
			if err := db.Sleep(ctx, 0); err != nil {
				return err
			}
		}
		return appendLine(a.Path, "end "+a.ID)
	}, worker.Options{RetryDelay: soon})
	registerOnce(m, db)
	worker.Handle(m, "Test::DB", func(ctx context.Context, a millis) error {
		return db.Sleep(ctx, a.duration())
	})
}

type failAfterArgs struct {
	MS   int64
	Text string
}

func failAfter(ctx context.Context, a failAfterArgs) error {
	if err := sleep(ctx, time.Duration(a.MS)*time.Millisecond); err != nil {
		return err
	}
	return errors.New(a.Text)
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

// eat allocates memory until the process dies. Its blocks are large: a job that needs longer
// than its second alone may kill nine processes before it counts as poison.
func eat(context.Context, []json.RawMessage) error {
	var all [][]byte
	for {
		block := make([]byte, 256<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		all = append(all, block)
		runtime.KeepAlive(all)
	}
}

type stampArgs struct {
	Path   string
	Pushed int64 // microseconds since 1970
}

// stamp writes the microseconds between the push and the start of the job.
func stamp(_ context.Context, a stampArgs) error {
	waited := time.Now().UnixMicro() - a.Pushed
	return appendLine(a.Path, fmt.Sprint(waited))
}

type workArgs struct {
	Path   string
	Queue  string
	Pushed int64 // microseconds since 1970
	Takes  int64 // microseconds
	Host   string
}

// work sleeps, and writes its queue, its host and the times of its push, start and end, in
// microseconds since 1970.
func work(ctx context.Context, a workArgs) error {
	start := time.Now().UnixMicro()
	if err := sleep(ctx, time.Duration(a.Takes)*time.Microsecond); err != nil {
		return err
	}
	return appendLine(a.Path, fmt.Sprint(a.Queue, " ", a.Host, " ", a.Pushed, " ", start,
		" ", time.Now().UnixMicro()))
}

type dbLedgerArgs struct {
	Path    string
	ID      string
	Queries int
}
