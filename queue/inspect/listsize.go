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

// saw notes the sizes of a page.
func (s *listSize) saw(page []string) {
	for _, raw := range page {
		s.add(len(raw))
	}
}

// add notes the size of a job. The last thirty count most.
func (s *listSize) add(bytes int) {
	if s.average == 0 {
		s.average = bytes
	}
	s.average = max(1, s.average+(bytes-s.average)/30)
}
