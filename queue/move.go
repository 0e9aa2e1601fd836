package queue

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
)

const (
	// MovedFor is how long a shard remembers that a job came from another one. A mover that was
	// suspended, such as on a laptop that slept, must not wake up later and put a job there again.
	MovedFor = 30 * 24 * time.Hour

	movePage  = 500     // jobs of a page: the bits of a marker
	moveBytes = 1 << 20 // bytes of a page, without its first job
)

// moving is a job that is on its way from a draining shard to another one: an entry of kyu:moving.
type moving struct {
	id    string // of its page, a dot, and its number in the page
	shard string // to which it goes; it does not change
	place string // the key without the namespace: queue:NAME, schedule, retry, dead, kyu:hold:CLASS
	score string // of a sorted set
	raw   string
	job   *Job // nil if raw is no job

	position position // read from the source right before the job lands
}

// newMoving returns the entry of a job that will be taken out of a place.
func newMoving(place, raw string) moving {
	m := moving{place: place, raw: raw}
	m.job, _ = envelope.ParseJob(envelope.Original(raw))
	return m
}

// way is the line of the entry's value that names the shard and the place.
func (m *moving) way() string { return m.shard + " " + strconv.Quote(m.place) }

// value is the entry's value, as lua/movelift.lua writes it.
func (m *moving) value() string { return m.score + "\n" + m.way() + "\n" + m.raw }

var errMoving = errors.New("the entry of kyu:moving cannot be read: was it written by a newer " +
	"version of Kyu?")

// parseMoving reads an entry of kyu:moving.
func parseMoving(id, value string) (m moving, err error) {
	score, rest, _ := strings.Cut(value, "\n")
	way, raw, two := strings.Cut(rest, "\n")
	shard, quoted, three := strings.Cut(way, " ")
	place, err := strconv.Unquote(quoted)
	page, number, err2 := splitMovingID(id)
	_, err3 := strconv.ParseFloat(score, 64)
	isList := kindOfPlace(place) == "list"
	if !two || !three || err != nil || !isPlace(place) || isList != (score == "") ||
		!isList && err3 != nil || err2 != nil || page == "" || number < 0 {
		return m, errMoving
	}
	m = newMoving(place, raw)
	m.id, m.shard, m.score = id, shard, score
	return m, nil
}

// isPlace reports whether jobs are moved to a key. Any other one may be anything of the target's.
func isPlace(place string) bool {
	return slices.Contains([]string{redisdb.KeySchedule, redisdb.KeyRetry, redisdb.KeyDead},
		place) || strings.HasPrefix(place, "queue:") || strings.HasPrefix(place, "kyu:hold:")
}

// splitMovingID returns the page of an id, and the number of the job in the page.
func splitMovingID(id string) (page string, number int, err error) {
	page, text, _ := strings.Cut(id, ".")
	number, err = strconv.Atoi(text)
	if err == nil && number >= movePage {
		err = errMoving
	}
	return page, number, err
}

// newMovingPage returns the id of a page: 128 random bits.
func newMovingPage() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// name returns the queue of a list, the class of a hold set, or "".
func (m *moving) name() string {
	for _, prefix := range []string{"queue:", "kyu:hold:"} {
		if name, ok := strings.CutPrefix(m.place, prefix); ok {
			return name
		}
	}
	return ""
}

// kind is the type of the place.
func (m *moving) kind() string { return kindOfPlace(m.place) }

func kindOfPlace(place string) string {
	if strings.HasPrefix(place, "queue:") {
		return "list"
	}
	return "zset"
}

// jid is the job's JID; "" if the bytes are no job.
func (m *moving) jid() string {
	if m.job == nil {
		return ""
	}
	return m.job.JID
}

// sortMoving puts entries into the order in which they were taken, page by page.
func sortMoving(list []moving) {
	slices.SortFunc(list, func(a, b moving) int {
		pageA, numberA, _ := splitMovingID(a.id)
		pageB, numberB, _ := splitMovingID(b.id)
		return cmp.Or(strings.Compare(pageA, pageB), numberA-numberB)
	})
}
