package top

import (
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

func TestModel(t *testing.T) {
	t.Run("draws its first frame before it has asked Redis anything", func(t *testing.T) {
		m := newModel(t.Context(), Options{Every: time.Second}, noon)
		if frame := m.frame(); !strings.Contains(frame, "connecting to Redis") {
			t.Errorf("%s", frame)
		}
	})
	t.Run("reads only what the visible view shows", func(t *testing.T) {
		d := drive(t, busyFleet())
		for key, want := range map[string]string{"2": "queues identities processes",
			"3": "identities work", "4": "page retries 0", "5": "page scheduled 0",
			"7": "held", "8": "identities processes"} {
			d.fleet.asked = nil
			d.press(key)
			if got := strings.Join(d.fleet.asked, " "); got != want {
				t.Errorf("%s: %q, want %q", key, got, want)
			}
		}
	})
	t.Run("looks once a second, and asks for one look at a time", func(t *testing.T) {
		d := drive(t, busyFleet(), func(o *Options) { o.Every = 2 * time.Second })
		d.fleet.asked = nil
		d.later(time.Second)
		if len(d.fleet.asked) != 0 {
			t.Errorf("asked %q", d.fleet.asked)
		}
		_, first := d.Update(tickMsg(d.now.Add(time.Second)))
		_, second := d.Update(tickMsg(d.now.Add(3 * time.Second)))
		d.run(second)
		if len(d.fleet.asked) != 0 {
			t.Errorf("asked %q while a look was under way", d.fleet.asked)
		}
		d.run(first)
		if len(d.fleet.asked) == 0 {
			t.Error("did not look")
		}
	})
	t.Run("says since when Redis does not answer, and goes on", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.fleet.err = errors.New("connection refused")
		d.later(time.Second)
		d.later(4 * time.Second)
		d.shows("Redis does not answer since 12:00:00 (5s)")
		d.shows("! connection refused")
		d.press("2", "j")
		d.shows("> mailers")
		d.fleet.err = nil
		d.later(time.Second)
		d.hides("does not answer")
	})
	t.Run("says that a look takes long", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.Update(tickMsg(d.now.Add(time.Second))) // its look gets no answer
		d.Update(tickMsg(d.now.Add(2 * time.Second)))
		d.shows("Redis does not answer since 12:00:00 (3s)")
	})
	t.Run("connects again until Redis answers", func(t *testing.T) {
		f := busyFleet()
		f.err = errors.New("is it running?")
		d := drive(t, f)
		d.shows("Redis does not answer since 12:00:00 (0s)")
		d.shows("! is it running?")
		d.press("D")
		f.err = nil
		d.later(time.Second)
		d.shows("processed 1,234,567")
	})
	t.Run("shows rates of the figures", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.fleet.totals.Processed += 250
		d.fleet.totals.Failed += 5
		d.later(2 * time.Second)
		d.shows("125.0 run, 2.5 fail")
	})
	t.Run("ends with Ctrl-C wherever it is", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4", "D")
		_, cmd := d.Update(tea.KeyPressMsg(special["ctrl+c"]))
		if _, quit := cmd().(tea.QuitMsg); !quit {
			t.Error("does not quit")
		}
	})
}
