package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// drainEvery is the time between two looks at processes that end their jobs.
const drainEvery = time.Second

// drain waits until no thread of processes is busy, for at most limit. It says how many are.
func (c *call) drain(ctx context.Context, list []inspect.FleetProcess, limit time.Duration) error {
	over := time.NewTimer(limit)
	defer over.Stop()
	every := time.NewTicker(drainEvery)
	defer every.Stop()
	for said := ""; ; {
		now, _, err := c.fleet.Processes(ctx)
		if err != nil {
			return err
		}
		d := drainOf(list, now)
		if d.loud+d.busy == 0 {
			return c.done(nil, fmt.Sprintf("drained: no thread of %d processes is busy", len(list)))
		}
		if text := d.String(); text != said {
			fmt.Fprintln(c.progress(), text)
			said = text
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted: %v; the processes end their jobs, and take no more", d)
		case <-over.C:
			return fmt.Errorf("after %v, %v; the processes end their jobs, and take no more", limit,
				d)
		case <-every.C:
		}
	}
}

// progress is where a command says how far it is: not between its JSON.
func (c *call) progress() io.Writer {
	if c.json() {
		return c.errOut
	}
	return c.out
}

// drained says how far processes are on the way to the end.
type drained struct {
	busy int // threads
	loud int // processes that have not yet obeyed, and take jobs
}

// drainOf looks for processes among those that are alive now. One that has ended is drained.
func drainOf(list, now []inspect.FleetProcess) (d drained) {
	for _, p := range list {
		if i := slices.IndexFunc(now, isProcess(p.Identity)); i >= 0 {
			d.busy += now[i].Busy
			if !now[i].Quiet {
				d.loud++
			}
		}
	}
	return d
}

// String says it in words.
func (d drained) String() string {
	text := fmt.Sprintf("%d threads are busy", d.busy)
	if d.loud > 0 {
		text += fmt.Sprintf(", %d processes are not quiet yet", d.loud)
	}
	return text
}
