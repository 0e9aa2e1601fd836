package top

import (
	"fmt"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestOverview(t *testing.T) {
	t.Run("warns of what is paused, unserved, quiet, silent or stuck", func(t *testing.T) {
		f := busyFleet()
		f.processes[0].Beat = noon.Add(-2 * time.Minute)
		f.processes[1].Stuck = 2
		d := drive(t, f)
		for _, want := range []string{"! no process serves the queue pull, 24,690 jobs wait",
			"! web0:4711:5f0c9a is silent for 2m00s", "! web1:4711:5f0c9a is 2 stuck",
			"! and 2 more"} {
			d.shows(want)
		}
		d.send(tea.WindowSizeMsg{Width: 100, Height: 50})
		d.shows("! the queue mailers is paused, 12,345 jobs wait")
		d.shows("! web2:4711:5f0c9a is quiet")
	})
	t.Run("says that nothing is wrong", func(t *testing.T) {
		f := busyFleet()
		f.queues, f.processes = f.queues[:1], f.processes[:2]
		drive(t, f).shows("nothing is paused, unserved, quiet or silent")
	})
	t.Run("says that no process runs", func(t *testing.T) {
		drive(t, &fleet{}).shows("! no process runs")
	})
	t.Run("says how many rows it leaves out", func(t *testing.T) {
		f := busyFleet()
		for i := range 40 {
			f.queues = append(f.queues, Queue{QueueInfo: inspect.QueueInfo{
				Name: fmt.Sprint("z", i)}})
		}
		d := drive(t, f)
		d.shows("more queues")
	})
	t.Run("shows what flows in and out if it is known", func(t *testing.T) {
		f := busyFleet()
		in, out, empty := 12.5, 20.0, 90.0
		f.queues[2].In, f.queues[2].Out, f.queues[2].Empty = &in, &out, &empty
		d := drive(t, f)
		d.shows("in/s 12.5   out/s 20.0")
		d.press("2")
		d.shows("EMPTY IN")
		d.shows("1m30s")
	})
}
