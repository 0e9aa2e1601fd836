package inspect

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// wherePage is how many entries of a set one call reads. Redis needs about 1 ms for it.
const wherePage = 500

// Tally counts the entries of a set that a walk has seen, chosen and changed.
type Tally struct {
	Seen    int `json:"seen"`
	Matched int `json:"matched"`
	Changed int `json:"changed"` // the others had left the set before, or stay because of an error
}

// Where applies an operation, such as js.Retry, to the entries that a filter chooses, the earliest
// first, a page at a time. It leaves out entries that came into the set after asOf: a job that fails
// again meanwhile is not chosen twice, and late arrivals stay. op may be nil: then they are only
// counted. An entry that another process moves within the set meanwhile may be missed. The error
// joins the *queue.WrongTypeErrors and *queue.EffectsErrors of all pages; any other error ends the
// walk, after which t says how far it came.
func (js *JobSet) Where(ctx context.Context, f Filter, asOf time.Time,
	op func(context.Context, ...queue.Entry) (int, error)) (t Tally, err error) {
	var stay []error
	err = js.walk(ctx, func(page []redis.Z) (kept int, err error) {
		chosen := make([]queue.Entry, 0, 16)
		last := page[len(page)-1].Score
		for _, z := range page {
			raw, _ := z.Member.(string)
			if f.mayMatch(raw) {
				e := queue.NewEntry(raw, z.Score)
				if f.Match(raw, e.Job, asOf) && !js.later(e, asOf) {
					chosen = append(chosen, e)
					continue
				}
			}
			if z.Score == last {
				kept++
			}
		}
		t.Seen += len(page)
		t.Matched += len(chosen)
		n, err := js.apply(ctx, chosen, op)
		t.Changed += n
		if len(chosen) > 0 && n < len(chosen) {
			kept += keptAt(chosen, last, len(chosen)-n)
		}
		if partial(err) {
			stay = append(stay, err)
			err = nil
		}
		return kept, err
	})
	return t, errors.Join(append(stay, err)...)
}

// apply carries out an operation, if there is one.
func (js *JobSet) apply(ctx context.Context, chosen []queue.Entry,
	op func(context.Context, ...queue.Entry) (int, error)) (int, error) {
	if op == nil || len(chosen) == 0 {
		return 0, nil
	}
	return op(ctx, chosen...)
}

// keptAt returns how many of n chosen entries that were not changed may still have the score last.
func keptAt(chosen []queue.Entry, last float64, n int) (kept int) {
	at := envelope.FromUnix(last)
	for _, e := range chosen {
		if e.At.Equal(at) {
			kept++
		}
	}
	return min(kept, n)
}

// partial reports whether an error of an operation concerns single jobs.
func partial(err error) bool {
	var refused *queue.WrongTypeError
	var held *queue.EffectsError
	return errors.As(err, &refused) || errors.As(err, &held)
}

// walk calls fn with all entries in the order of their scores, a page at a time. fn returns how many
// entries with the last score of the page are still in the set.
func (js *JobSet) walk(ctx context.Context, fn func([]redis.Z) (kept int, err error)) error {
	from, skip := math.Inf(-1), 0
	for {
		page, err := js.in.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{Key: js.Key(),
			ByScore: true, Start: score(from), Stop: "+inf", Offset: int64(skip),
			Count: wherePage}).Result()
		if err != nil || len(page) == 0 {
			return js.wrap(err)
		}
		kept, err := fn(page)
		if err != nil {
			return err
		}
		if last := page[len(page)-1].Score; last != from {
			from, skip = last, 0
		}
		skip += kept
	}
}

// score returns a score as Redis reads it, exactly.
func score(f float64) string {
	if math.IsInf(f, -1) {
		return "-inf"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// later reports whether an entry came into the set after a time.
func (js *JobSet) later(e queue.Entry, asOf time.Time) bool {
	if js.Name() == redisdb.KeyDead || e.Job == nil {
		return js.Name() == redisdb.KeyDead && e.At.After(asOf)
	}
	for _, key := range []string{"retried_at", "failed_at", "created_at"} {
		if e.Job.Time(key).After(asOf) {
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
