package inspect

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

func TestExplain(t *testing.T) {
	now := time.Unix(1764380000, 0)
	worker := func(change func(*Process)) []Process {
		p := Process{Identity: "w", Queues: []string{"push"}, Concurrency: 5}
		change(&p)
		return []Process{p}
	}
	knows := map[string]Served{"w": {Classes: []string{"A"}}}
	idle := worker(func(*Process) {})
	inPush := Place{Kind: InQueue, Queue: "push"}
	for name, x := range map[string]struct {
		p      Place
		fields string
		f      facts
		want   []string
	}{
		"a paused queue": {inPush, "", facts{queue: QueueInfo{Paused: true}, processes: idle,
			served: knows}, []string{"is paused", "--unpause"}},
		"a queue without a process": {inPush, "", facts{},
			[]string{"no process serves", "worker -q"}},
		"quiet processes": {inPush, "",
			facts{processes: worker(func(p *Process) { p.Quiet = true })},
			[]string{"are quiet"}},
		"a class without a handler": {inPush, "", facts{processes: idle,
			served: map[string]Served{"w": {Classes: []string{"B"}}}},
			[]string{"no worker that serves",
				"class A"}},
		"busy threads": {inPush, "", facts{served: knows,
			processes: worker(func(p *Process) { p.Busy = 5 })}, []string{"all 5 threads", "busy"}},
		"jobs before it": {Place{Kind: InQueue, Queue: "push", Before: 7}, "",
			facts{processes: idle, served: knows}, []string{"7 jobs of the queue push"}},
		"a time to come": {Place{Kind: InSchedule, At: now.Add(90 * time.Minute)}, "", facts{},
			[]string{"due in 1h 30m", "workerctl scheduled retry j"}},
		"a time that has come": {Place{Kind: InSchedule, At: now.Add(-time.Minute)}, "", facts{},
			[]string{"has been due for 1m 0s"}},
		"a failure": {Place{Kind: InRetry, At: now.Add(3 * 24 * time.Hour)},
			`,"retry_count":1,"error_class":"E","error_message":"no"`, facts{},
			[]string{"due in 3d 0h", "failed 2 times: E: no", "workerctl retries retry j"}},
		"a hold": {Place{Kind: InHold}, "", facts{}, []string{"held A release j", "class A"}},
		"a death": {Place{Kind: InDead, At: now.Add(-time.Hour)}, "", facts{},
			[]string{"1h 0m ago"}},
		"a worker that has it": {Place{Kind: InFlight, Process: "w"}, "", facts{processes: idle},
			[]string{"process w has it"}},
		"a worker without a record": {Place{Kind: InFlight, Process: "w"}, "", facts{served: knows},
			[]string{"process w has it"}},
		"a worker that is gone": {Place{Kind: InFlight, Process: "x"}, `,"crashes":2`,
			facts{processes: idle}, []string{"x had it and is gone", "died 2 times"}},
		"Ruby": {Place{Kind: InRuby, Process: "r"}, "", facts{},
			[]string{"Ruby process runs it: r"}},
		"a doorbell": {Place{Kind: InLanding, Process: "w"}, "", facts{},
			[]string{"just brought it"}},
		"an expiry": {inPush, `,"expires_at":1764379999.5`, facts{processes: idle},
			[]string{"has expired"}},
	} {
		t.Run("names "+name, func(t *testing.T) {
			j, err := envelope.ParseJob(`{"class":"A","jid":"j","queue":"push","args":[]` +
				x.fields + `}`)
			if err != nil {
				t.Fatal(err)
			}
			x.f.now = now
			text := ""
			for _, r := range explain(x.p, j, x.f) {
				text += r.Text + "\n" + r.Do + "\n"
			}
			for _, want := range x.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in\n%s", want, text)
				}
			}
		})
	}
}
