package inspect

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Cursor is how far a search for a job has come. The zero Cursor is its beginning. A search can go
// on from it in another process. A job that bulk deletions in a queue shift meanwhile may be
// missed.
type Cursor struct {
	Read int64 // jobs that were read so far

	round int    // of the two walks of a search
	step  int    // of the walk
	key   string // of the step: the place that is read
	at    uint64 // of the place: an index or a cursor
}

// String is the form of a Cursor for ParseCursor.
func (m Cursor) String() string {
	return fmt.Sprintf("%d.%d.%d.%d.%s", m.Read, m.round, m.step, m.at,
		base64.RawURLEncoding.EncodeToString([]byte(m.key)))
}

// ParseCursor reads a Cursor. "" is the zero Cursor.
func ParseCursor(text string) (m Cursor, err error) {
	if text == "" {
		return m, nil
	}
	bad := fmt.Errorf("cursor %q: want one that a search has given", text)
	parts := strings.Split(text, ".")
	if len(parts) != 5 {
		return m, bad
	}
	var numbers [4]uint64
	for i := range numbers {
		if numbers[i], err = strconv.ParseUint(parts[i], 10, 63); err != nil {
			return Cursor{}, bad
		}
	}
	key, err := base64.RawURLEncoding.DecodeString(parts[4])
	if err != nil || numbers[1] >= locateRounds || numbers[2] >= walkSteps {
		return Cursor{}, bad
	}
	return Cursor{Read: int64(numbers[0]), round: int(numbers[1]), step: int(numbers[2]),
		at: numbers[3], key: string(key)}, nil
}

// locateRounds is how often a search walks through all places: a job may move behind the first
// walk.
const locateRounds = 2

// Locate finds a job by its JID. The error is queue.ErrNotFound if the job is nowhere: it is done,
// or was deleted, or never existed.
func (in *Inspector) Locate(ctx context.Context, jid string) (p Place, j *queue.Job, err error) {
	p, j, _, err = in.LocateFrom(ctx, jid, Cursor{})
	if err == nil && j == nil {
		err = ctx.Err()
	}
	return p, j, err
}

// LocateFrom is Locate that goes on where another search has stopped. If the deadline of ctx passes
// before the job is found, j and err are nil, and the next call goes on from reached.
func (in *Inspector) LocateFrom(ctx context.Context, jid string, from Cursor) (p Place,
	j *queue.Job, reached Cursor, err error) {
	for from.round < locateRounds {
		w := &walk{in: in, from: from, reached: Cursor{Read: from.Read, round: from.round},
			fn: func(at Place, raw string) bool {
				if !strings.Contains(raw, jid) {
					return true
				}
				found, err := envelope.ParseJob(envelope.Original(raw))
				if err == nil && found.JID == jid {
					p, j = at, found
				}
				return j == nil
			}}
		err := w.run(ctx)
		switch {
		case j != nil:
			return p, j, w.reached, nil
		case err != nil && redisdb.Over(ctx):
			return p, nil, w.reached, nil
		case err != nil:
			return p, nil, w.reached, err
		}
		from = Cursor{Read: w.reached.Read, round: from.round + 1}
	}
	return p, nil, from, fmt.Errorf("job %s: %w: it is done, or was deleted, or never existed", jid,
		queue.ErrNotFound)
}
