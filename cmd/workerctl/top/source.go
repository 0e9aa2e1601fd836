package top

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// Source is what the views read. Each method may take as long as Redis takes: none is called by the
// goroutine that draws and takes keys.
type Source interface {
	// Totals has the numbers of the fleet that are no sums over queues or processes.
	Totals(ctx context.Context) (inspect.Stats, error)
	// Queues has all queues.
	Queues(ctx context.Context) ([]Queue, error)
	// Identities names all processes. Some may have died lately.
	Identities(ctx context.Context) ([]string, error)
	// Processes has those of the identities that are alive, for a command each.
	Processes(ctx context.Context, ids ...string) ([]inspect.Process, error)
	// Work has the jobs that processes run, for one or two commands each.
	Work(ctx context.Context, ids ...string) ([]inspect.Work, error)
	// Held has the classes that have held jobs.
	Held(ctx context.Context) ([]inspect.Held, error)
	// Page has some jobs of a set or a queue.
	Page(ctx context.Context, w Window) (Page, error)
	// Count counts the jobs of a set that a filter chooses and that were there at a moment.
	Count(ctx context.Context, set Set, filter string, asOf time.Time) (int, error)
	// Job explains a job. Without a payload it looks for the job everywhere.
	Job(ctx context.Context, ref Ref) (Job, error)
}

// Queue is a queue as the views show it. What is nil is not known.
type Queue struct {
	inspect.QueueInfo
	InFlight *int64   // jobs that workers have
	In, Out  *float64 // jobs a second over the last minute
	Empty    *float64 // seconds until it is empty; nil also for never
}

// Window says which jobs of a set are shown.
type Window struct {
	Set    Set
	Filter string
	Offset int // the place of the first job, from 0
	Count  int
}

// Page are the jobs of a Window.
type Page struct {
	Window
	Entries []queue.Entry
	Total   int       // jobs of the set, or those that the filter chooses
	At      time.Time // when they were read
}

// Ref names a job, and where it was seen. Raw is empty if only its JID is known.
type Ref struct {
	JID   string
	Raw   string
	Place inspect.Place
}

// Job is a job with its explanation.
type Job struct {
	Ref
	Job     *queue.Job // nil for bytes that are no job
	Reasons []inspect.Reason
}
