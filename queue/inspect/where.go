package inspect

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"golang.org/x/sync/errgroup"
)

// wherePage is how many entries of a set one call reads. Redis needs less than 1 ms for it.
const wherePage = 500

// Tally counts the entries of a set that a walk has seen, chosen and changed.
type Tally struct {
	Seen    int `json:"seen"`
	Matched int `json:"matched"`
	Changed int `json:"changed"` // the others had left the set before, or stay because of an error
}

// Where applies an operation, such as js.Retry, to the entries that a filter chooses, the earliest
// first, a page at a time. It leaves out entries that came into the set after asOf: a job that
// fails again meanwhile is not chosen twice, and late arrivals stay. An entry whose time another
// process changes meanwhile may be missed. The error joins the *queue.WrongTypeErrors and
// *queue.EffectsErrors of all pages; any other error ends the walk, after which t says how far it
// came.
func (js *JobSet) Where(ctx context.Context, f Filter, asOf time.Time,
	op func(context.Context, ...queue.Entry) (int, error)) (t Tally, err error) {
	return js.where(ctx, js.walk, f, asOf, op)
}

// Search calls fn, which may be nil, with the entries that a filter chooses, the earliest first. It
// leaves out entries that came into the set after asOf.
func (js *JobSet) Search(ctx context.Context, f Filter, asOf time.Time,
	fn func(queue.Entry)) (Tally, error) {
	return js.where(ctx, js.walkAhead, f, asOf,
		func(_ context.Context, page ...queue.Entry) (int, error) {
			for _, e := range page {
				if fn != nil {
					fn(e)
				}
			}
			return 0, nil
		})
}

// where is Where with a way to walk.
func (js *JobSet) where(ctx context.Context,
	walk func(context.Context, func([]queue.Entry) (int, error)) error, f Filter, asOf time.Time,
	op func(context.Context, ...queue.Entry) (int, error)) (t Tally, err error) {
	var stay []error
	err = walk(ctx, func(page []queue.Entry) (gone int, err error) {
		last := page[len(page)-1].Score
		chosen, atLast := make([]queue.Entry, 0, 16), 0
		for _, e := range page {
			if !f.mayMatch(e.Raw) {
				continue
			}
			if e.Parse(); !f.Match(e.Raw, e.Job, asOf) || js.later(e, asOf) {
				continue
			}
			chosen = append(chosen, e)
			if e.Score == last {
				atLast++
			}
		}
		t.Seen += len(page)
		t.Matched += len(chosen)
		if len(chosen) == 0 {
			return 0, nil
		}
		n, err := op(ctx, chosen...)
		t.Changed += n
		if partial(err) {
			stay = append(stay, err)
			err = nil
		}
		return max(0, atLast-(len(chosen)-n)), err
	})
	return t, errors.Join(append(stay, err)...)
}

// All is Where for all entries that are in the set now. It returns how many were changed.
func (js *JobSet) All(ctx context.Context,
	op func(context.Context, ...queue.Entry) (int, error)) (int, error) {
	t, err := js.Where(ctx, Filter{}, time.Now(), op)
	return t.Changed, err
}

// partial reports whether an error of an operation concerns single jobs.
func partial(err error) bool {
	var refused *queue.WrongTypeError
	var held *queue.EffectsError
	return errors.As(err, &refused) || errors.As(err, &held)
}

// walk calls fn with all entries in the order of their scores, a page at a time. fn returns how
// many entries with the last score of the page have certainly left the set. The walk goes on behind
// the others of that score.
func (js *JobSet) walk(ctx context.Context, fn func([]queue.Entry) (gone int, err error)) error {
	low, skip, size := "-inf", 0, redisdb.NewPageSize(wherePage, redisdb.PageBytes)
	for {
		page, _, err := js.Read(ctx, low, skip, &size)
		if err != nil || len(page) == 0 {
			return err
		}
		gone, err := fn(page)
		if err != nil {
			return err
		}
		last := page[len(page)-1].Score
		if last != low {
			low, skip = last, 0
		}
		for _, e := range page {
			if e.Score == last {
				skip++
			}
		}
		skip -= gone
	}
}

// walkAhead is walk for an fn that changes nothing. It reads the next page meanwhile, and without a
// script: that costs Redis a quarter. So a page is limited by the sizes of the entries before it.
func (js *JobSet) walkAhead(ctx context.Context,
	fn func([]queue.Entry) (gone int, err error)) error {
	pages := make(chan []queue.Entry, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(pages)
		return js.readAhead(ctx, pages)
	})
	g.Go(func() error {
		for page := range pages {
			if _, err := fn(page); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// readAhead sends all entries in the order of their scores, a page at a time.
func (js *JobSet) readAhead(ctx context.Context, pages chan<- []queue.Entry) error {
	low, skip, size := "-inf", 0, listSize{most: wherePage}
	for {
		flat, err := js.in.rdb.Do(ctx, "ZRANGEBYSCORE", js.Key(), low, "+inf", "WITHSCORES",
			"LIMIT", skip, size.next()).Slice()
		if err != nil || len(flat) == 0 {
			return js.wrap(err)
		}
		page := make([]queue.Entry, 0, len(flat)/2)
		for i := 0; i+1 < len(flat); i += 2 {
			page = append(page, scored(flat[i], flat[i+1]))
			size.add(len(page[i/2].Raw))
		}
		select {
		case pages <- page:
		case <-ctx.Done():
			return ctx.Err()
		}
		last := page[len(page)-1].Score
		if last != low {
			low, skip = last, 0
		}
		for i := len(page) - 1; i >= 0 && page[i].Score == last; i-- {
			skip++
		}
	}
}

// scored is an entry, not parsed, of a member and its score as Redis replies.
func scored(member, score any) queue.Entry {
	e := queue.Entry{}
	e.Raw, _ = member.(string)
	switch score := score.(type) {
	case float64:
		e.Score, e.At = strconv.FormatFloat(score, 'g', 17, 64), envelope.FromUnix(score)
	case string:
		e.Score = score
		at, _ := strconv.ParseFloat(score, 64)
		e.At = envelope.FromUnix(at)
	}
	return e
}

// later reports whether an entry came into the set after a time. A time that is still to come is of
// another clock, and not of an arrival. Times of payloads may be in whole milliseconds, so those of
// the millisecond of asOf count as later: an entry is rather left than changed twice.
func (js *JobSet) later(e queue.Entry, asOf time.Time) bool {
	asOf = asOf.Truncate(time.Millisecond)
	arrived := func(t time.Time) bool {
		return !t.Before(asOf) && t.Before(time.Now().Add(time.Minute))
	}
	if js.Name() != redisdb.KeyRetry && js.Name() != redisdb.KeySchedule {
		return arrived(e.At) // when it died, or was held
	}
	if e.Job == nil {
		return false
	}
	for _, key := range []string{"retried_at", "failed_at", "enqueued_at", "created_at"} {
		if arrived(e.Job.Time(key)) {
			return true
		}
	}
	return false
}

// mayMatch reports whether a payload can match. It is quick: most payloads need not be read.
func (f Filter) mayMatch(raw string) bool {
	return f.needle == "" || containsFold(raw, f.needle)
}

// containsFold reports whether s contains a text of small ASCII letters, in any case.
func containsFold(s, text string) bool {
	first := text[:1]
	upper := strings.ToUpper(first)
	for len(s) >= len(text) {
		i := strings.IndexAny(s, first+upper)
		if i < 0 || len(s)-i < len(text) {
			return false
		}
		if strings.EqualFold(s[i:i+len(text)], text) {
			return true
		}
		s = s[i+1:]
	}
	return false
}
