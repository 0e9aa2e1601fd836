package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/queue/envelope"
)

// mostProcesses is the greatest number of processes of a rotation.
const mostProcesses = 100

// rotation are processes that all serve the same queues, each with another queue first: while a
// queue has jobs, one of the processes works on it.
type rotation struct {
	Queues    []string `json:"queues"`
	Processes int      `json:"processes"`
	Threads   int      `json:"threads"` // of each process
}

// standardQueues are the queues that a worker serves without -q.
func standardQueues() (names []string) {
	for _, l := range standard {
		names = append(names, l.Queue)
	}
	return names
}

// rotationOf divides threads over processes. It is nil for a single queue.
func rotationOf(queues []planned, threads, processes int) *rotation {
	if len(queues) < 2 {
		return nil
	}
	r := &rotation{Processes: processes, Threads: (threads + processes - 1) / processes}
	for _, q := range queues {
		r.Queues = append(r.Queues, q.Queue)
	}
	return r
}

// parseRotation reads the flags --rotate 4x5 and --queues default,push.
func parseRotation(size, queues string) (*rotation, error) {
	r := &rotation{Queues: standardQueues()}
	processes, threads, _ := strings.Cut(size, "x")
	var err1, err2 error
	r.Processes, err1 = strconv.Atoi(processes)
	r.Threads, err2 = strconv.Atoi(threads)
	var problems []error
	switch {
	case err1 != nil || err2 != nil || r.Threads < 1:
		problems = append(problems, fmt.Errorf("--rotate %q: want PROCESSESxTHREADS, such as 4x5: "+
			"4 processes of 5 threads each", size))
	case r.Processes < 2 || r.Processes > mostProcesses:
		problems = append(problems, fmt.Errorf("--rotate %q: want 2 to %d processes; for one "+
			"process of all queues: systemctl enable --now worker", size, mostProcesses))
	}
	if queues != "" {
		problems = append(problems, r.readQueues("--queues", queues))
	}
	return r, errors.Join(problems...)
}

// parseRotated reads the older flags --rotated default,push and --threads 5: a process for each
// queue.
func parseRotated(queues string, threads int) (*rotation, error) {
	r := &rotation{Threads: threads}
	err := r.readQueues("--rotated", queues)
	r.Processes = len(r.Queues)
	if threads < 1 {
		err = errors.Join(err, errors.New("--threads: want at least 1, the threads of each "+
			"process"))
	}
	return r, err
}

// readQueues reads the value of a flag that names at least two queues.
func (r *rotation) readQueues(flag, text string) error {
	r.Queues = nil
	for _, name := range strings.Split(text, ",") {
		name = strings.TrimSpace(name)
		if !envelope.ValidName(name) || slices.Contains(r.Queues, name) {
			return fmt.Errorf("%s %q: %q: want QUEUE,..., each once", flag, text, name)
		}
		r.Queues = append(r.Queues, name)
	}
	if len(r.Queues) < 2 {
		return fmt.Errorf("%s %q: want at least two queues; for one queue: --split %s=%d", flag,
			text, text, max(r.Threads, 1))
	}
	return nil
}

// flags are those of install-units that make this rotation.
func (r *rotation) flags() string {
	text := fmt.Sprintf("--rotate %dx%d", r.Processes, r.Threads)
	if !slices.Equal(r.Queues, standardQueues()) {
		text += " --queues " + strings.Join(r.Queues, ",")
	}
	return text
}

// shares are the processes, as units. With more processes than queues, the order begins again.
func (r *rotation) shares() (list []share) {
	for i := range r.Processes {
		first := i % len(r.Queues)
		order := slices.Concat(r.Queues[first:], r.Queues[:first])
		list = append(list, share{fmt.Sprintf("rotated-%d", i+1), r.Threads, order})
	}
	return list
}

// neverFirst are the queues that no process takes first.
func (r *rotation) neverFirst() []string {
	return r.Queues[min(r.Processes, len(r.Queues)):]
}
