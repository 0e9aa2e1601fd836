package worker

import (
	"strings"
	"testing"
	"time"
)

func TestFloors(t *testing.T) {
	capsule := func(list ...QueueWeight) *Capsule {
		return &Capsule{Name: "default", Concurrency: 5, Queues: list}
	}
	t.Run("are refused with all their problems", func(t *testing.T) {
		for want, c := range map[string]*Capsule{
			"queue pull: floor 150%: want 0.1% to 90%": capsule(QueueWeight{Name: "pull",
				Floor: Floor{Share: 1.5}}),
			"queue pull: floor 0.01%": capsule(QueueWeight{Name: "pull",
				Floor: Floor{Share: 0.0001}}),
			"queue pull: max 6: want 1 to 5, the threads of the capsule": capsule(
				QueueWeight{Name: "pull", Floor: Floor{Max: 6}}),
			"late 10ms: want 1s or more": capsule(QueueWeight{Name: "pull",
				Floor: Floor{Late: 10 * time.Millisecond}}),
			"a floor wants strict order: leave out the weights": capsule(QueueWeight{Name: "x",
				Weight: 2}, QueueWeight{Name: "pull", Floor: Floor{Max: 1}}),
			"a floor of a queue that is named twice": capsule(QueueWeight{Name: "pull"},
				QueueWeight{Name: "pull", Floor: Floor{Max: 1}}),
			"the floors add up to 120%: want at most 90%": capsule(QueueWeight{Name: "x",
				Floor: Floor{Share: 0.6}}, QueueWeight{Name: "y", Floor: Floor{Share: 0.6}}),
		} {
			if err := c.validate(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	})
	t.Run("are in the process's record", func(t *testing.T) {
		c := capsule(QueueWeight{Name: "default"}, QueueWeight{Name: "pull",
			Floor: Floor{Share: 0.05, Max: 3, Late: time.Minute}})
		if err := c.validate(); err != nil {
			t.Fatal(err)
		}
		floors := c.record().Floors
		f := floors["pull"]
		if len(floors) != 1 || f.Share != 0.05 || f.Max != 3 || f.Late != 60 {
			t.Errorf("%+v", floors)
		}
	})
}
