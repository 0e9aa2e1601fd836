package testjobs

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// registerLedger adds the classes that write a line to a ledger's file when they start
// and when they end. TEST_WITHOUT=Test::Rare leaves that class unknown to the process.
func registerLedger(m *worker.Mux, store *queue.Store) {
	worker.Handle(m, "Test::Ledger", ledger)
	worker.Handle(m, "Test::Locked", locked)
	worker.Handle(m, "Test::Parcel", parcel)
	worker.Handle(m, "Test::Doomed", doomed)
	worker.Handle(m, "Test::Flaky", flaky, worker.Options{RetryDelay: soon})
	worker.Handle(m, "Test::Family", family{queue.NewClient(store)}.run)
	if os.Getenv("TEST_WITHOUT") != "Test::Rare" {
		worker.Handle(m, "Test::Rare", ledger)
	}
}

// note writes a line: the event and the id of the job. If the process has a name in the test
// (TEST_MEMBER), the name and the time follow, in milliseconds since 1970.
func note(path, event, id string) error {
	line := event + " " + id
	if member := os.Getenv("TEST_MEMBER"); member != "" {
		line += " " + member + " " + strconv.FormatInt(time.Now().UnixMilli(), 10)
	}
	return appendLine(path, line)
}

type ledgerArgs struct {
	Path string
	ID   string
	MS   int64
}

// ledger writes "start ID" and, after sleeping, "end ID".
func ledger(ctx context.Context, a ledgerArgs) error {
	if err := note(a.Path, "start", a.ID); err != nil {
		return err
	}
	failpoint.Hit("mid_run")
	if err := sleep(ctx, time.Duration(a.MS)*time.Millisecond); err != nil {
		return err
	}
	return note(a.Path, "end", a.ID)
}

// locked is ledger, and writes "cut ID" if its context ends before: then it does not run any more.
func locked(ctx context.Context, a ledgerArgs) error {
	err := ledger(ctx, a)
	if err != nil {
		note(a.Path, "cut", a.ID)
	}
	return err
}

type parcelArgs struct {
	Path string
	ID   string
	MS   int64
	Sum  uint32
	Load string
}

// parcel is ledger with a load. It writes "torn ID" if the load has other bytes than were pushed.
func parcel(ctx context.Context, a parcelArgs) error {
	if crc32.ChecksumIEEE([]byte(a.Load)) != a.Sum {
		if err := note(a.Path, "torn", a.ID); err != nil {
			return err
		}
	}
	return ledger(ctx, ledgerArgs{a.Path, a.ID, a.MS})
}

type doomedArgs struct {
	Path string
	ID   string
}

// doomed writes "start ID" and fails.
func doomed(_ context.Context, a doomedArgs) error {
	if err := note(a.Path, "start", a.ID); err != nil {
		return err
	}
	return errors.New("it always fails")
}

type flakyArgs struct {
	Path  string
	ID    string
	Times int
}

// soon lets a flaky job run again at once, but for the retry's jitter of up to ten seconds.
func soon(int, error) time.Duration { return time.Millisecond }

// flaky fails the first Times runs of an id. A file per id counts the runs in all processes.
func flaky(_ context.Context, a flakyArgs) error {
	if err := note(a.Path, "start", a.ID); err != nil {
		return err
	}
	f, err := os.OpenFile(a.Path+"."+a.ID, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("."); err != nil {
		return err
	}
	runs, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if int(runs) <= a.Times {
		return errors.New("not yet")
	}
	return note(a.Path, "end", a.ID)
}

// family pushes jobs from its handler.
type family struct{ client *queue.Client }

type familyArgs struct {
	Path     string
	ID       string
	MS       int64
	Children int
	Within   int64 // milliseconds that a push may take by the caller's own deadline; 0: no deadline
	Queue    string
}

// pushTries is the number of pushes of a child whose push is not confirmed. After the last, run
// goes on to the next child: this one may be in Redis, and the ledger has only its intent.
const pushTries = 2

// run pushes children that write to the same ledger. A child's JID follows from its
// parent's: a parent that runs again pushes no second child. Each child's intent is in the file
// before its push, and its acknowledgement after it: a SIGKILL between the two leaves the intent.
func (f family) run(ctx context.Context, a familyArgs) error {
	if err := note(a.Path, "start", a.ID); err != nil {
		return err
	}
	for i := range a.Children {
		child := fmt.Sprintf("%s-%d", a.ID, i)
		if err := note(a.Path, "intend", child); err != nil {
			return err
		}
		for try := 0; try < pushTries; try++ {
			err := f.push(ctx, a, child)
			if ctx.Err() != nil {
				return context.Cause(ctx) // it runs again elsewhere
			}
			if err != nil {
				continue
			}
			if err := note(a.Path, "acked", child); err != nil {
				return err
			}
			break
		}
	}
	if err := sleep(ctx, time.Duration(a.MS)*time.Millisecond); err != nil {
		return err
	}
	return note(a.Path, "end", a.ID)
}

func (f family) push(ctx context.Context, a familyArgs, child string) error {
	if a.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(a.Within)*time.Millisecond)
		defer cancel()
	}
	o := queue.Options{Queue: a.Queue, JID: child, Retry: queue.RetryMax(0), Idempotent: true}
	_, err := f.client.Push(ctx, "Test::Ledger", []any{a.Path, child, 1}, o)
	return err
}
