package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/queue/envelope"
)

// rotation are processes that all serve the same queues, each with another queue first: while a
// queue has jobs, one of the processes works on it.
type rotation struct {
	Queues  []string `json:"queues"`
	Threads int      `json:"threads"` // of each process; there is one for each queue
}

// rotationOf divides threads over one process for each queue.
func rotationOf(queues []planned, threads int) *rotation {
	r := &rotation{}
	for _, q := range queues {
		r.Queues = append(r.Queues, q.Queue)
	}
	r.Threads = (threads + len(queues) - 1) / len(queues)
	return r
}

// parseRotation reads the queues of --rotated.
func parseRotation(text string, threads int) (*rotation, error) {
	r := &rotation{Threads: threads}
	seen := map[string]bool{}
	for _, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		if !envelope.ValidName(name) || seen[name] {
			return nil, fmt.Errorf("--rotated %q: %q: want QUEUE,..., each once", text, name)
		}
		seen[name] = true
		r.Queues = append(r.Queues, name)
	}
	switch {
	case len(r.Queues) < 2:
		return nil, fmt.Errorf("--rotated %q: want at least two queues", text)
	case threads < 1:
		return nil, errors.New("--threads: want at least 1, the threads of each process")
	}
	return r, nil
}

// shares are the processes, as units.
func (r *rotation) shares() (list []share) {
	for i := range r.Queues {
		order := append(append([]string{}, r.Queues[i:]...), r.Queues[:i]...)
		list = append(list, share{fmt.Sprintf("rotated-%d", i+1), r.Threads, order})
	}
	return list
}
