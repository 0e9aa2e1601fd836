package queue

import (
	"strings"
	"testing"
)

func FuzzParseMoving(f *testing.F) {
	f.Add("00.1", "1.5\nb \"retry\"\n{\"class\":\"A\"}")
	f.Add("00.0", "\nb \"queue:x y\"\n\n\n")
	f.Fuzz(func(t *testing.T, id, value string) {
		m, err := parseMoving(id, value)
		if err != nil {
			return
		}
		again, err := parseMoving(m.id, m.value())
		if err != nil || again.raw != m.raw || again.place != m.place || again.shard != m.shard ||
			again.score != m.score || again.id != m.id {
			t.Errorf("%q %q is read as %+v, written and read again as %+v, %v", id, value, m, again,
				err)
		}
	})
}

func TestParseMoving(t *testing.T) {
	t.Run("keeps every byte of a job and of its place", func(t *testing.T) {
		m := newMoving("queue:a \"b\"\n\xff", "\n{}\n\x00\xff")
		m.id, m.shard = "00ff.17", "b"
		again, err := parseMoving(m.id, m.value())
		if err != nil || again.raw != m.raw || again.place != m.place || again.shard != "b" {
			t.Errorf("read %+v, %v", again, err)
		}
	})
	t.Run("refuses what it has not written", func(t *testing.T) {
		for id, value := range map[string]string{
			"x":      "1\nb \"retry\"\n{}",
			"00.500": "1\nb \"retry\"\n{}",
			"00.-1":  "1\nb \"retry\"\n{}",
			"00.1":   "1\nb \"paused\"\n{}",
			"00.2":   "1\nb \"queue:a\"\n{}",
			"00.3":   "\nb \"retry\"\n{}",
			"00.4":   "1\nb",
		} {
			if _, err := parseMoving(id, value); err == nil {
				t.Errorf("%q %q was read", id, strings.ReplaceAll(value, "\n", "/"))
			}
		}
	})
}

func TestHoldsJobs(t *testing.T) {
	t.Run("knows all places of jobs", func(t *testing.T) {
		for key, want := range map[string]bool{"queue:a": true, "retry": true, "retry:x": false,
			"kyu:hold:A": true, "kyu:{queue:a}:inflight:h:1:x": true,
			"kyu:{queue:a}:landing:h:1:x": true, "kyu:{queue:a}:lanes:lane:x": true,
			"kyu:{queue:a}:lanes": false, "kyu:{queue:a}:history:1m": false, "queues": false,
			"kyu:moving": true, "kyu:{queue:a}:sifted": true, "kyu:trash:x": false} {
			if got := holdsJobs(key); got != want {
				t.Errorf("%s: %t", key, got)
			}
		}
	})
}
