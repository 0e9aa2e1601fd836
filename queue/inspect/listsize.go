package inspect

import "github.com/kyujobs/kyu/internal/redisdb"

// listSize is how many jobs of a list to read at once, by the sizes of those that were read.
type listSize struct {
	most    int // jobs at once
	average int // bytes
}

func (s *listSize) next() int64 {
	if s.average == 0 {
		return 20
	}
	return int64(max(1, min(s.most, redisdb.PageBytes/s.average)))
}

func (s *listSize) saw(page []string) {
	total := 0
	for _, raw := range page {
		total += len(raw)
	}
	if len(page) > 0 {
		s.average = max(1, total/len(page))
	}
}
