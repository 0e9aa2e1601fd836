package doctor

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
)

func TestDoctorLanes(t *testing.T) {
	now := time.Now()
	on := lanes.Status{Queue: "q", State: "on", Seen: now.Add(-time.Second)}
	off, beside, allowed, unseen := on, on, on, on
	off.State, off.Parked = "off", 3
	beside.Beside = "ruby:1:a"
	allowed.BesideRuby = true
	unseen.Seen, unseen.Parked = now.Add(-time.Minute), 7
	for _, x := range []struct {
		name                string
		lanes               lanes.Status
		ruby                string
		level, text, remedy string
	}{
		{"are off with jobs in them", off, "", Wrong, "3 jobs are in them",
			"workerctl lanes drain q"},
		{"are off beside Ruby", beside, "", Warning, "cannot see parked jobs: ruby:1:a",
			"add beside-ruby"},
		{"will be off beside Ruby", on, "ruby:2:b", Warning, "cannot see parked jobs: ruby:2:b",
			"let only Kyu serve the queue"},
		{"have no process that knows them", unseen, "", Wrong, "7 jobs are parked",
			"start a worker of this version with -q q"},
	} {
		t.Run(x.name, func(t *testing.T) {
			e := &Examination{}
			e.besideLanes(x.lanes, x.ruby, now)
			e.only(t, x.level, x.text, x.remedy)
		})
	}
	t.Run("are well", func(t *testing.T) {
		e := &Examination{}
		e.besideLanes(on, "", now)
		e.besideLanes(allowed, "ruby:1:a", now)
		if len(e.Findings) > 0 {
			t.Errorf("%+v, want none", e.Findings)
		}
	})
}
