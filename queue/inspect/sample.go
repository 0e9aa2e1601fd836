package inspect

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// samplePage is how many members one call reads, and sampleBytes is after how many bytes of
// payloads a sample is large enough.
const (
	samplePage  = 250
	sampleBytes = 64 << 20
)

// Sample calls fn with about n entries: a random one of each n-th part of the set. Equal distances
// would be unfair where kinds of jobs take turns. The parts are read in random order, so that the
// sample stays fair if it ends early because the payloads are large. It costs Redis one command for
// each entry, in round trips of 250.
func (js *JobSet) Sample(ctx context.Context, n int, fn func(queue.Entry)) error {
	size, err := js.Size(ctx)
	if err != nil {
		return err
	}
	parts, read := min(int64(n), size), 0
	for page := range slices.Chunk(rand.Perm(int(parts)), samplePage) {
		pipe := js.in.rdb.Pipeline()
		replies := make([]*redis.ZSliceCmd, len(page))
		for i, part := range page {
			from := int64(part) * size / parts
			at := from + rand.Int64N((int64(part)+1)*size/parts-from)
			replies[i] = pipe.ZRangeWithScores(ctx, js.Key(), at, at)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return js.wrap(err)
		}
		for _, reply := range replies {
			for _, e := range entries(reply.Val()) { // none if the set has become smaller
				fn(e)
				read += len(e.Raw)
			}
		}
		if read > sampleBytes {
			return nil
		}
	}
	return nil
}
