package top

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

// Explain says why a job is where it is.
type Explain func(context.Context, inspect.Place, *queue.Job) ([]inspect.Reason, error)

// inspected is the Source of an Inspector.
type inspected struct {
	*inspect.Inspector
	explain Explain
	rates   *rates
}

// rates are those of the queues. They change with each point of the history, every 10 s.
type rates struct {
	byQueue map[string]inspect.Rate
	at      time.Time
}

const ratesFor = 10 * time.Second

// NewSource returns the Source of a Redis. The commands of the store's clients are counted from now
// on.
func NewSource(store *queue.Store, in *inspect.Inspector, explain Explain) Source {
	store.DB().Shared.AddHook(meterHook{})
	return inspected{in, explain, &rates{}}
}

// Queues has sizes, ages, whether they are paused, and how fast jobs come and go. It is for one
// goroutine.
func (s inspected) Queues(ctx context.Context) ([]Queue, error) {
	infos, err := s.Inspector.Queues(ctx)
	if err == nil && time.Since(s.rates.at) > ratesFor {
		names := make([]string, len(infos))
		for i, info := range infos {
			names[i] = info.Name
		}
		s.rates.at = time.Now()
		s.rates.byQueue, err = s.Rates(ctx, names)
	}
	list := make([]Queue, len(infos))
	for i, info := range infos {
		list[i].QueueInfo = info
		if r, known := s.rates.byQueue[info.Name]; known {
			list[i].In, list[i].Out, list[i].Empty = &r.In, &r.Out, r.Empty(info.Size)
		}
	}
	return list, err
}

func (s inspected) Processes(ctx context.Context, ids ...string) ([]inspect.Process, error) {
	return s.ProcessesOf(ctx, ids...)
}

func (s inspected) Work(ctx context.Context, ids ...string) ([]inspect.Work, error) {
	return s.WorkOf(ctx, ids...)
}

func (s inspected) Held(ctx context.Context) ([]inspect.Held, error) { return s.HeldClasses(ctx) }

// setOf is a set of an Inspector.
func setOf(in *inspect.Inspector, set Set) (*inspect.JobSet, error) {
	class, held := set.Class()
	switch {
	case held:
		return in.HoldSet(class), nil
	case set == Retries:
		return in.RetrySet(), nil
	case set == Scheduled:
		return in.ScheduleSet(), nil
	case set == Dead:
		return in.DeadSet(), nil
	}
	return nil, fmt.Errorf("there is no set %q", set)
}

func (s inspected) Page(ctx context.Context, w Window) (Page, error) {
	page := Page{Window: w, At: time.Now()}
	if name, ok := w.Set.Queue(); ok {
		return s.queuePage(ctx, page, name)
	}
	set, err := setOf(s.Inspector, w.Set)
	if err != nil {
		return page, err
	}
	if w.Filter != "" {
		return s.search(ctx, page, set)
	}
	size, err := set.Size(ctx)
	if err != nil {
		return page, err
	}
	page.Total = int(size)
	page.Entries, err = set.Page(ctx, int64(w.Offset), int64(w.Count))
	return page, err
}

// queuePage reads jobs of a queue.
func (s inspected) queuePage(ctx context.Context, page Page, name string) (Page, error) {
	info, err := s.Queue(ctx, name)
	if err != nil {
		return page, err
	}
	raws, err := s.QueuePage(ctx, name, int64(page.Offset), int64(page.Count))
	page.Total = int(info.Listed())
	for _, raw := range raws {
		e := queue.Entry{Raw: raw}
		if e.Job, _ = envelope.ParseJob(raw); e.Job != nil {
			e.At = e.Job.Enqueued()
		}
		page.Entries = append(page.Entries, e)
	}
	return page, err
}

// search reads a whole set and keeps the jobs of a page that the filter chooses. The dead set is
// shown from its end.
func (s inspected) search(ctx context.Context, page Page, set *inspect.JobSet) (Page, error) {
	filter, err := inspect.ParseFilter(page.Filter)
	if err != nil {
		return page, err
	}
	last := page.Set == Dead
	seen, until := 0, page.Offset+page.Count
	tally, err := set.Search(ctx, filter, page.At, func(e queue.Entry) {
		if seen++; last || seen > page.Offset && seen <= until {
			page.Entries = append(page.Entries, e)
		}
		if last && len(page.Entries) == 2*until {
			page.Entries = slices.Delete(page.Entries, 0, until)
		}
	})
	if extra := len(page.Entries) - until; last && extra > 0 {
		page.Entries = slices.Delete(page.Entries, 0, extra)
	}
	page.Total = tally.Matched
	if last {
		slices.Reverse(page.Entries)
		page.Entries = page.Entries[min(page.Offset, len(page.Entries)):]
	}
	return page, err
}

func (s inspected) Count(ctx context.Context, set Set, filter string, asOf time.Time) (int, error) {
	f, err := inspect.ParseFilter(filter)
	if err != nil {
		return 0, err
	}
	jobs, err := setOf(s.Inspector, set)
	if err != nil {
		return 0, err
	}
	tally, err := jobs.Search(ctx, f, asOf, nil)
	return tally.Matched, err
}

func (s inspected) Job(ctx context.Context, ref Ref) (job Job, err error) {
	job.Ref = ref
	if ref.Raw == "" {
		if job.Place, job.Job, err = s.Locate(ctx, ref.JID); err != nil {
			return job, err
		}
		job.Raw = job.Job.Raw()
	} else if job.Job, err = envelope.ParseJob(envelope.Original(ref.Raw)); err != nil {
		return job, nil // no job: its bytes are all that there is
	}
	job.Reasons, err = s.explain(ctx, job.Place, job.Job)
	return job, err
}
