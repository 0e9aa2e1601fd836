package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// patience is how long an act waits for its operation. A longer one goes on in the background.
const patience = time.Second

// recordWithin is how long the record of an act may take: the act itself is done.
const recordWithin = 2 * time.Second

// operate begins a bulk operation and carries it out.
func (q *request) operate(s source, v verb, r inspect.Request, back string) (*outcome, error) {
	o, err := q.in().Begin(q.ctx, r)
	if err != nil {
		return nil, err
	}
	return q.carryOut(o, s.words(), v, back)
}

// carryOut carries out an operation in the background, and waits a little for its end.
func (q *request) carryOut(o *inspect.Operation, where string, v verb,
	back string) (*outcome, error) {
	act := inspect.Act{By: q.person.Name, Host: hostOf(q), Command: where + " " + v.Name}
	ended := make(chan error, 1)
	err := q.background(func(ctx context.Context) {
		err := o.Run(ctx, nil)
		if o.Changed > 0 || len(o.JIDs) == 0 {
			act.What = doneLine(o, where, v.Name)
			q.d.record(act)
		}
		if err != nil {
			q.d.Log.Warn("A bulk operation of the dashboard has stopped", "id", o.ID, "err", err)
		}
		ended <- err
	})
	if err != nil {
		return nil, err
	}
	select {
	case err := <-ended:
		return &outcome{q.ended(o, v, err), back}, nil
	case <-time.After(q.d.patience):
		return &outcome{flash{q.t("flash.background", o.ID), false}, q.d.path("operations")}, nil
	case <-q.ctx.Done():
		return nil, q.ctx.Err()
	}
}

// ended is the line about an operation that has ended.
func (q *request) ended(o *inspect.Operation, v verb, err error) flash {
	line := q.t("flash.done", q.t(v.Label), number(o.Changed))
	if missing := o.Missing(); len(missing) > 0 && err == nil {
		return flash{line + " " + q.t("flash.missing", strings.Join(missing, ", ")), true}
	}
	switch {
	case err != nil:
		return flash{line + " " + q.t("flash.stopped", o.ID, err.Error()), true}
	case o.Verb == queue.VerbDelete && o.Changed > 0:
		line += " " + q.t("flash.undo")
	}
	return flash{line, false}
}

// background runs fn until Close. The error says that the dashboard is closed.
func (q *request) background(fn func(context.Context)) error {
	q.d.mu.Lock()
	defer q.d.mu.Unlock()
	if q.d.closed {
		return &problem{http.StatusServiceUnavailable, q.t("problem.stopping")}
	}
	q.d.work.Go(func() { fn(q.d.ctx) })
	return nil
}

// doneLine says in the audit what an operation has done, as workerctl says it.
func doneLine(o *inspect.Operation, where, verb string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d jobs of %s", verb, o.Changed, where)
	if len(o.JIDs) > 0 {
		found := slices.DeleteFunc(slices.Clone(o.JIDs),
			func(jid string) bool { return slices.Contains(o.Missing(), jid) })
		b.Reset()
		fmt.Fprintf(&b, "%s %s of %s", verb, strings.Join(found, " "), where)
	}
	if o.Filter != "" {
		b.WriteString(", of the filter " + o.Filter)
	}
	if o.Verb == queue.VerbDelete && o.Changed > 0 {
		b.WriteString(" (undo: workerctl undo " + o.ID + ")")
	}
	return b.String()
}

// record adds an act to the audit. One that cannot be recorded is done nevertheless, and the log
// says so.
func (d *Dashboard) record(a inspect.Act) {
	ctx, cancel := context.WithTimeout(context.Background(), recordWithin)
	defer cancel()
	a.Command = "dashboard " + a.Command
	if err := d.Inspector.Record(ctx, a); err != nil {
		d.Log.Error("An act is done, but not in the audit", "by", a.By, "what", a.What, "err", err)
	}
}

// acted records an act of a person.
func (q *request) acted(command, what string) {
	q.d.record(inspect.Act{By: q.person.Name, Host: hostOf(q), Command: command, What: what})
}
