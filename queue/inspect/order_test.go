package inspect

import (
	"testing"

	"github.com/kyujobs/kyu/queue"
)

func TestGets(t *testing.T) {
	late := func(oldest float64, f queue.FloorRecord) QueueOrder {
		return QueueOrder{Queue: "pull", Oldest: oldest, Floor: &f}
	}
	strict := func(q QueueOrder) Order {
		return Order{Mode: "strict", Queues: []QueueOrder{{Queue: "default"}, {Queue: "push"}, q}}
	}
	for name, want := range map[string]struct {
		order Order
		i     int
		text  string
	}{
		"the first in strict order gets all": {strict(QueueOrder{Queue: "pull"}), 0,
			"all jobs, while it has jobs"},
		"a later one gets what those before it leave": {strict(QueueOrder{Queue: "pull"}), 2,
			"what default, push leave"},
		"the first leaves floors their share": {strict(late(0, queue.FloorRecord{Share: 0.05})),
			0, "all jobs but 5 % for floors, while it has jobs"},
		"a floor and a bound": {strict(late(3, queue.FloorRecord{Share: 0.05, Max: 3,
			Late: 60})), 2, "what default, push leave; at least 5 % of the jobs, 25 % from an " +
			"age of 1m0s on; at most 3 threads"},
		"lateness": {strict(late(61, queue.FloorRecord{Share: 0.05, Late: 60})), 2,
			"what default, push leave; at least 25 % of the jobs, because its oldest job is " +
				"older than 1m0s"},
		"lateness without a floor": {strict(late(1, queue.FloorRecord{Late: 60})), 2,
			"what default, push leave; at least 25 % of the jobs from an age of 1m0s on"},
		"a pause": {strict(QueueOrder{Queue: "pull", Paused: true}), 2,
			"nothing, because it is paused"},
		"weights": {Order{Mode: "weighted", Queues: []QueueOrder{{Weight: 3}, {Weight: 1}}}, 1,
			"1 of 4 jobs while all queues have jobs"},
		"random order": {Order{Mode: "random", Queues: make([]QueueOrder, 3)}, 1,
			"1 of 3 jobs while all queues have jobs"},
		"a process of Sidekiq 6": {Order{Queues: make([]QueueOrder, 1)}, 0,
			"not known, because this process does not say in what order it takes jobs"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := want.order.gets(want.i); got != want.text {
				t.Errorf("%q, want %q", got, want.text)
			}
		})
	}
}
