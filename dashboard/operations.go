package dashboard

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// listed is how many operations and acts a page lists.
const listed = 100

// operation is a bulk operation in a list.
type operation struct {
	*inspect.Operation
	Page string `json:"-"` // the key of the page of its place in the navigation; "": a queue
	Name string `json:"-"` // of its queue or held class
}

// CanUndo reports whether the jobs that it deleted can be restored.
func (o operation) CanUndo() bool {
	return o.Verb == queue.VerbDelete && o.Changed > 0 && o.State != queue.StateRunning &&
		time.Since(o.Began) < queue.TrashFor
}

// CanCancel reports whether it runs or waits for somebody to go on with it.
func (o operation) CanCancel() bool {
	return o.State == queue.StateRunning || o.State == queue.StateInterrupted
}

// CanResume reports whether somebody may go on with it.
func (o operation) CanResume() bool { return o.State == queue.StateInterrupted }

func newOperation(o *inspect.Operation) operation {
	class, held := strings.CutPrefix(o.Set, "kyu:hold:")
	switch {
	case o.Queue != "":
		return operation{o, "queue", o.Queue}
	case held:
		return operation{o, "held", class}
	}
	return operation{o, map[string]string{"retry": "retries", "schedule": "scheduled",
		"dead": "dead"}[o.Set], ""}
}

// where is the place of its jobs in the words of workerctl.
func (o operation) where() string { return source{Key: o.Page, Name: o.Name}.words() }

func (q *request) operations() (*view, error) {
	list, err := q.in().Operations(q.ctx, listed)
	rows := []operation{}
	for _, o := range list {
		rows = append(rows, newOperation(o))
	}
	return &view{page: "operations", nav: "operations", title: q.t("nav.operations"),
		data: rows}, err
}

// undo puts the jobs back that an operation deleted.
func (q *request) undo() (*outcome, error) {
	id := q.PathValue("id")
	if _, err := q.in().Operation(q.ctx, id); err != nil {
		return nil, err
	}
	ended := make(chan flash, 1)
	act := inspect.Act{By: q.person.Name, Host: hostOf(q), Command: "undo"}
	err := q.background(func(ctx context.Context) {
		n, err := q.in().Undo(ctx, id)
		if n > 0 {
			act.What = "restored " + number(n) + " jobs of the operation " + id
			q.d.record(act)
		}
		if err != nil {
			q.d.Log.Warn("An undo of the dashboard has stopped", "id", id, "err", err)
			ended <- flash{err.Error(), true}
			return
		}
		ended <- flash{q.t("flash.restored", number(n)), false}
	})
	if err != nil {
		return nil, err
	}
	done := &outcome{flash{q.t("flash.background", id), false}, q.d.path("operations")}
	select {
	case done.flash = <-ended:
	case <-time.After(q.d.patience):
	}
	return done, nil
}

// cancelOperation stops an operation. What it has changed stays changed.
func (q *request) cancelOperation() (*outcome, error) {
	id := q.PathValue("id")
	o, err := q.in().Operation(q.ctx, id)
	if err != nil {
		return nil, err
	}
	back := q.d.path("operations")
	if !newOperation(o).CanCancel() {
		return &outcome{flash{q.t("flash.over", id), true}, back}, nil
	}
	if err := o.Cancel(q.ctx); err != nil {
		return nil, err
	}
	q.acted("operations cancel", "cancelled "+id)
	return &outcome{flash{q.t("flash.cancelled", id), false}, back}, nil
}

// resume goes on with an operation whose process has stopped.
func (q *request) resume() (*outcome, error) {
	o, err := q.in().Operation(q.ctx, q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	row := newOperation(o)
	if !row.CanResume() {
		return nil, &problem{http.StatusConflict, q.t("flash.over", o.ID)}
	}
	name := string(o.Verb)
	return q.carryOut(o, row.where(), verb{name, "verb." + name, o.Verb}, q.d.path("operations"))
}
