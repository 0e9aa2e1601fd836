package doctor

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestDoctorLife(t *testing.T) {
	now := time.Now()
	for _, x := range []struct {
		name, level, text, remedy string
		process                   inspect.Process
	}{
		{"has not reported", Wrong, "h:1:a: it does not report", "look whether h is alive",
			inspect.Process{Identity: "h:1:a", Hostname: "h", Beat: now.Add(-20 * time.Second)}},
		{"does not turn", Wrong, "one of its loops hangs", "workerctl dump h:1:a",
			inspect.Process{Identity: "h:1:a", Beat: now, Turned: now.Add(-time.Minute)}},
		{"has stuck handlers", Wrong, "3 handlers ignore", "workerctl dump h:1:a",
			inspect.Process{Identity: "h:1:a", Beat: now, Turned: now, Stuck: 3}},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := &Examination{}
			e.life(x.process, now)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
	t.Run("is silent about a process that is well, and about Ruby's", func(t *testing.T) {
		e := &Examination{}
		e.life(inspect.Process{Beat: now, Turned: now.Add(-2 * time.Second)}, now)
		e.life(inspect.Process{Beat: now.Add(-9 * time.Second)}, now)
		if len(e.Findings) > 0 {
			t.Errorf("%+v", e.Findings)
		}
	})
}

func TestDoctorLongRun(t *testing.T) {
	now := time.Now()
	j, err := envelope.ParseJob(`{"class":"Slow","jid":"x","args":[]}`)
	if err != nil {
		t.Fatal(err)
	}
	e := &Examination{}
	e.longRun(inspect.Work{Job: j, RunAt: now.Add(-time.Minute)}, now)
	e.longRun(inspect.Work{Job: j}, now) // it does not say since when
	e.longRun(inspect.Work{Job: j, Process: "h:1:a", Queue: "pull", RunAt: now.Add(-2 * time.Hour)},
		now)
	e.only(t, Warning, "job x: Slow of the queue pull has run for 2h 0m in h:1:a",
		"workerctl dump h:1:a")
}
