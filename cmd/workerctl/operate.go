package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"golang.org/x/term"
)

// operate begins a bulk operation, carries it out, and says what it has done.
func (c *call) operate(ctx context.Context, from source,
	r inspect.Request) (*inspect.Operation, error) {
	r.By, r.Host = c.person(), hostname()
	if from.open != nil {
		r.Set = from.open(c.inspector).Name()
	}
	o, err := c.inspector.Begin(ctx, r)
	if err != nil {
		return nil, err
	}
	verb := string(r.Verb)
	if r.Verb == queue.VerbForget {
		verb = string(queue.VerbDelete)
	}
	return o, c.carryOut(ctx, o, from.in(c), cmp.Or(from.verb, verb))
}

// carryOut carries out an operation, or goes on with it, and says what it has done. Jobs that it
// has not found are no error.
func (c *call) carryOut(ctx context.Context, o *inspect.Operation, where, verb string) error {
	p := &progress{c: c, verb: verb}
	err := o.Run(ctx, p.show)
	p.clear()
	if o.Changed > 0 || len(o.JIDs) == 0 {
		c.acted(nil, doneLine(o, where, verb))
	}
	if err != nil {
		return c.stopped(ctx, o, err)
	}
	return nil
}

// missing is the error for jobs of an operation that were not found.
func missing(o *inspect.Operation, where string) error {
	if n := len(o.JIDs); o.Changed < n {
		return fmt.Errorf("%d of the %d jobs: %w in %s: %s", n-o.Changed, n, queue.ErrNotFound,
			where, strings.Join(o.Missing(), ", "))
	}
	return nil
}

// doneLine says what an operation has done.
func doneLine(o *inspect.Operation, where, verb string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d jobs of %s", verb, o.Changed, where)
	if n := len(o.JIDs); n > 0 && o.Changed > 0 {
		found := slices.DeleteFunc(slices.Clone(o.JIDs),
			func(jid string) bool { return slices.Contains(o.Missing(), jid) })
		b.Reset()
		fmt.Fprintf(&b, "%s %s of %s", verb, strings.Join(found, " "), where)
	}
	if o.To != "" {
		b.WriteString(", to the queue " + o.To)
	}
	if o.Filter != "" {
		b.WriteString(", of the filter " + o.Filter)
	}
	if o.Verb == queue.VerbDelete && o.Changed > 0 {
		b.WriteString(" (undo: workerctl undo " + o.ID + ")")
	}
	return b.String()
}

// stopped adds to the error of an operation how to go on.
func (c *call) stopped(ctx context.Context, o *inspect.Operation, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("stopped: `workerctl operations resume %s` goes on with it", o.ID)
	}
	var over *queue.OperationError
	if errors.As(err, &over) || o.State == queue.StateDone {
		return err
	}
	return fmt.Errorf("%w\n`workerctl operations resume %s` goes on with it", err, o.ID)
}

func hostname() string {
	name, _ := os.Hostname()
	return name
}

// progress shows at a terminal how far an operation is.
type progress struct {
	c     *call
	verb  string
	shown time.Time
}

const progressEvery = 200 * time.Millisecond

func (p *progress) show(o inspect.Operation) {
	if p.shown.IsZero() {
		p.shown = time.Now() // a short operation shows nothing
	}
	if time.Since(p.shown) < progressEvery || !isTerminal(p.c.errOut) {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.c.errOut, "\r\x1b[K%s: %s of %s jobs looked at, %s changed", p.verb,
		grouped(int64(o.Matched)), grouped(int64(o.Seen)), grouped(int64(o.Changed)))
}

func (p *progress) clear() {
	if !p.shown.IsZero() && isTerminal(p.c.errOut) {
		fmt.Fprint(p.c.errOut, "\r\x1b[K")
	}
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// capital is a text with its first letter in capitals.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
