package inspect

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Found is a job that a search has found.
type Found struct {
	Place Place
	Raw   string
	Job   *queue.Job // nil if the bytes are no job
}

// Search is what a search has found.
type Search struct {
	Found []Found
	Read  int64 // how many jobs were read
	More  bool  // the search ended before it had read all jobs
}

// Search looks for the jobs that a filter chooses, in all places, until there are more than limit
// or the deadline of ctx has passed. Then it returns what it has found. It reads a page at a time.
// A job that a worker takes meanwhile is found once, where it went.
func (in *Inspector) Search(ctx context.Context, f Filter, limit int) (s Search, err error) {
	now := time.Now()
	at := map[string]int{} // where Found has a payload
	err = in.Walk(ctx, func(p Place, raw string) bool {
		s.Read++
		if !f.mayMatch(raw) {
			return true
		}
		j, _ := envelope.ParseJob(envelope.Original(raw))
		if !f.Match(raw, j, now) {
			return true
		}
		if i, before := at[raw]; before {
			s.Found[i].Place = p
			return true
		}
		if len(s.Found) == limit {
			s.More = true
			return false
		}
		at[raw] = len(s.Found)
		s.Found = append(s.Found, Found{p, raw, j})
		return true
	})
	if err != nil && redisdb.Over(ctx) {
		s.More, err = true, nil
	}
	return s, err
}
