package doctor

import (
	"testing"

	"github.com/kyujobs/kyu/queue/inspect"
)

func TestDoctorQueue(t *testing.T) {
	for _, x := range []struct {
		name                string
		queue               inspect.QueueInfo
		by                  service
		level, text, remedy string
	}{
		{"is served", inspect.QueueInfo{Name: "q", Size: 1, Latency: 2}, served, Good,
			"q: 1 jobs, the oldest waits for 2s", ""},
		{"is served by no process", inspect.QueueInfo{Name: "q", Size: 1}, unserved, Wrong,
			"no process serves it", "worker -q q"},
		{"is served by quiet processes", inspect.QueueInfo{Name: "q", Size: 1}, onlyQuiet, Wrong,
			"all processes that serve it are quiet", "restart them"},
		{"is late", inspect.QueueInfo{Name: "q", Size: 1, Latency: 61}, served, Warning,
			"waits for 1m1s", "workerctl plan"},
		{"is paused", inspect.QueueInfo{Name: "q", Size: 1, Paused: true}, served, Warning,
			"it is paused", "workerctl queue q --unpause"},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := &Examination{}
			e.queue(x.queue, x.by)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
}

func TestDoctorProcess(t *testing.T) {
	p := inspect.Process{Identity: "h:1:a", Concurrency: 7, Queues: []string{"q"}}
	quiet := p
	quiet.Quiet = true
	for _, x := range []struct {
		name        string
		process     inspect.Process
		pool        int
		level, text string
		connections int
	}{
		{"has no Postgres", p, 0, Good, "7 threads and no Postgres", 0},
		{"has too few connections", p, 5, Wrong, "a pool of 5: threads wait", 5},
		{"is quiet", quiet, 7, Warning, "h:1:a (q) is quiet", 7},
		{"is well", p, 7, Good, "7 threads and a pool of 7", 7},
		{"opens no more than its threads need", p, 30, Good, "7 threads and a pool of 30", 7},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := &Examination{}
			e.process(x.process, x.pool)
			e.only(t, x.level, x.text, "")
			if d := demandOf(e.Pools); d.sum != x.connections {
				t.Errorf("%+v, want %d connections", d, x.connections)
			}
		})
	}
}

func TestRubyPool(t *testing.T) {
	for size, want := range map[int]int{0: 7, 5: 5} {
		e := &Examination{Settings: Settings{RubyPool: size}}
		if got := e.rubyPool(7); got != want {
			t.Errorf("%d: %d, want %d", size, got, want)
		}
	}
}
