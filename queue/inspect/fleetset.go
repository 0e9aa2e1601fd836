package inspect

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// FleetSet is a sorted set of jobs over all shards. Its order is that of the set: by the times of
// the entries. Of the same time, the entries of the first shard come first.
type FleetSet struct {
	fleet *Fleet
	open  func(*Inspector) *JobSet
}

// Set returns the sets that open returns for the shards, as one, such as of
// (*Inspector).RetrySet.
func (f *Fleet) Set(open func(*Inspector) *JobSet) FleetSet { return FleetSet{f, open} }

// FleetEntry is an entry of a set, and its shard.
type FleetEntry struct {
	queue.Entry
	Shard string

	score float64
}

// FleetPage are some of the entries of a set.
type FleetPage struct {
	Entries []FleetEntry
	Total   int64 // entries of the shards that answered, or those that the filter chooses
	Read    int64 // of a search: entries that it has read
	More    bool  // of a search: the time was over, and there may be more
	Away    []Away
}

// setPart is the set of a shard that answered.
type setPart struct {
	*JobSet
	shard string
	size  int64
	from  int64 // the first entry that a page may have
}

// Page returns up to count entries after the first offset (see JobSet.Page). It reads at most count
// entries of each shard, however large the offset is.
func (s FleetSet) Page(ctx context.Context, offset, count int64) (p FleetPage, err error) {
	parts, away, err := s.parts(ctx)
	if err != nil {
		return p, err
	}
	p.Away = away
	for _, part := range parts {
		p.Total += part.size
	}
	if err := skip(ctx, parts, offset); err != nil || offset >= p.Total {
		return p, err
	}
	for _, part := range parts {
		page, err := part.members(ctx, part.from, count)
		if err != nil {
			return p, err
		}
		for i, e := range entries(page) {
			p.Entries = append(p.Entries, FleetEntry{e, part.shard, page[i].Score})
		}
	}
	sortEntries(p.Entries, len(parts) > 0 && parts[0].latestFirst())
	p.Entries = p.Entries[:min(count, int64(len(p.Entries)))]
	return p, nil
}

// latestFirst reports whether pages of the set begin with the largest score.
func (js *JobSet) latestFirst() bool { return js.Name() == redisdb.KeyDead }

// parts are the sets of the shards that answer, with their sizes.
func (s FleetSet) parts(ctx context.Context) (parts []*setPart, away []Away, err error) {
	all, away, err := Each(ctx, s.fleet, func(ctx context.Context, m *Member) (*setPart, error) {
		set := s.open(m.Inspector)
		n, err := set.Size(ctx)
		return &setPart{JobSet: set, shard: m.Name, size: n}, err
	})
	for _, of := range all {
		parts = append(parts, of.Value)
	}
	return parts, away, err
}

// sortEntries sorts entries of several shards, each of which is sorted.
func sortEntries(list []FleetEntry, latestFirst bool) {
	slices.SortStableFunc(list, func(a, b FleetEntry) int {
		if latestFirst {
			a, b = b, a
		}
		return cmp.Compare(a.score, b.score)
	})
}

// skip moves all parts to where the page after an offset begins. It looks by halves for the time at
// which the page begins: at most 64 times, with a count in each shard.
func skip(ctx context.Context, parts []*setPart, offset int64) error {
	if offset == 0 || len(parts) == 1 {
		for _, part := range parts {
			part.from = offset
		}
		return nil
	}
	low, high := -infinity, infinity
	for low < high { // at most offset entries are before low, and more are before high+1
		middle := low + int64((uint64(high)-uint64(low))/2) + 1
		n, err := moveTo(ctx, parts, middle)
		switch {
		case err != nil:
			return err
		case n <= offset:
			low = middle
		default:
			high = middle - 1
		}
	}
	n, err := moveTo(ctx, parts, low)
	left := offset - n
	for _, part := range parts {
		if err != nil || left == 0 {
			return err
		}
		var same int64 // entries of the time at which the page begins
		score := part.scoreAt(low)
		same, err = part.in.rdb.ZCount(ctx, part.Key(), score, score).Result()
		part.from += min(left, same)
		left -= min(left, same)
	}
	return err
}

// infinity is the last place in the order of all scores. A place before 0 stands for a negative
// score.
const infinity = int64(0x7ff) << 52

// scoreAt is the score at a place of the order in which pages show the set.
func (js *JobSet) scoreAt(place int64) string {
	if js.latestFirst() {
		place = -place
	}
	score := math.Float64frombits(uint64(max(place, -place)))
	if place < 0 {
		score = -score
	}
	return strconv.FormatFloat(score, 'g', 17, 64)
}

// moveTo moves all parts behind the entries before a place, and counts these.
func moveTo(ctx context.Context, parts []*setPart, place int64) (n int64, err error) {
	for _, part := range parts {
		low, high := "-inf", "("+part.scoreAt(place)
		if part.latestFirst() {
			low, high = high, "+inf"
		}
		if part.from, err = part.in.rdb.ZCount(ctx, part.Key(), low, high).Result(); err != nil {
			return 0, part.wrap(err)
		}
		n += part.from
	}
	return n, nil
}

// Search returns up to count entries that a filter chooses, after the first offset, the earliest
// first (see JobSet.Search). If the time of ctx is over, it returns what it has found.
func (s FleetSet) Search(ctx context.Context, f Filter, asOf time.Time,
	offset, count int64) (p FleetPage, err error) {
	type found struct {
		entries []queue.Entry
		tally   Tally
		more    bool
	}
	all, away, err := Each(ctx, s.fleet, func(ctx context.Context, m *Member) (r found, err error) {
		chosen := 0 // a search that ends early has no tally
		r.tally, err = s.open(m.Inspector).Search(ctx, f, asOf, func(e queue.Entry) {
			chosen++
			if int64(len(r.entries)) < offset+count {
				r.entries = append(r.entries, e)
			}
		})
		if err != nil && redisdb.Over(ctx) {
			r.more, err = true, nil
			r.tally.Matched = max(r.tally.Matched, chosen)
		}
		return r, err
	})
	for _, of := range all {
		for _, e := range of.Value.entries {
			score, _ := strconv.ParseFloat(e.Score, 64)
			p.Entries = append(p.Entries, FleetEntry{e, of.Member.Name, score})
		}
		p.Read += int64(of.Value.tally.Seen)
		p.Total += int64(of.Value.tally.Matched)
		p.More = p.More || of.Value.more
	}
	sortEntries(p.Entries, false)
	p.Entries = p.Entries[min(offset, int64(len(p.Entries))):]
	p.Entries, p.Away = p.Entries[:min(count, int64(len(p.Entries)))], away
	return p, err
}
