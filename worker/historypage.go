package worker

import (
	"context"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

// historyPage are the queues of one call, and what is to be added to their history.
type historyPage struct {
	queues []string
	flows  map[string]*queue.Flow // since the last flush that was sent
	sent   []queue.Flow           // by the flush that is under way; nil: none is
	flush  queue.Flush            // of sent
	owner  *queue.Owner           // of sent
	since  time.Time              // of the oldest counts; zero: there are none
}

func newHistoryPage(names []string) *historyPage {
	p := &historyPage{queues: names, flows: map[string]*queue.Flow{}}
	for _, name := range names {
		p.flows[name] = &queue.Flow{Queue: name}
	}
	return p
}

// send sends the flush of a page. If the reply of the one before was lost, it sends that again
// first. It returns Redis's time.
func (h *historian) send(ctx context.Context, p *historyPage) (now time.Time, err error) {
	if !p.since.IsZero() && time.Since(p.since) > historyKept {
		*p = *newHistoryPage(p.queues)
	}
	again := p.sent != nil
	if !again {
		h.number++
		p.sent, p.owner = p.take(), h.owner()
		p.flush = queue.Flush{Field: p.queues[0], Number: h.number}
	}
	call, cancel := context.WithTimeout(ctx, historyWithin)
	defer cancel()
	now, broken, _, err := p.owner.FlushHistory(call, p.flush, p.sent)
	h.judge(p.queues, broken, err)
	switch {
	case redisdb.Answered(err): // it was not carried out
		p.giveBack()
		return now, err
	case err != nil:
		return now, err
	}
	p.sent, p.since = nil, time.Time{}
	if again {
		return h.send(ctx, p)
	}
	return now, nil
}

// take takes what is to be added.
func (p *historyPage) take() (list []queue.Flow) {
	for _, name := range p.queues {
		list = append(list, *p.flows[name])
		*p.flows[name] = queue.Flow{Queue: name}
	}
	return list
}

// giveBack adds to the next flush what Redis has not accepted.
func (p *historyPage) giveBack() {
	for _, f := range p.sent {
		p.flows[f.Queue].Out += f.Out
		p.flows[f.Queue].Left += f.Left
	}
	p.sent = nil
}

// split makes two pages of page i.
func (h *historian) split(i int) {
	p := h.pages[i]
	half := len(p.queues) / 2
	a, b := newHistoryPage(p.queues[:half]), newHistoryPage(p.queues[half:])
	for _, part := range []*historyPage{a, b} {
		part.since = p.since
		for _, name := range part.queues {
			part.flows[name] = p.flows[name]
		}
	}
	h.pages = slices.Replace(h.pages, i, i+1, a, b)
}

// historyKeys names the rings of a queue as a pattern, for people.
func historyKeys(s *queue.Store) func(queue string) string {
	return func(queue string) string {
		return s.Keys().QueueHistory(queue, redisdb.Ring{Name: "*"})
	}
}
