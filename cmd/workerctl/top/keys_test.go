package top

import (
	"fmt"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	t.Run("digits, tab and names go to the views", func(t *testing.T) {
		d := drive(t, busyFleet())
		for keys, want := range map[string]string{"3": "[3 busy]", "tab": "[2 queues]",
			"shift+tab": "[8 processes]", ":sched": "[5 scheduled]", ":queue pull": "queue pull",
			":held NewWorker": "held NewWorker", ":help": "ctrl-d"} {
			d.press("1")
			if text, command := strings.CutPrefix(keys, ":"); command {
				d.press(":")
				d.types(text)
				d.press("enter")
			} else {
				d.press(keys)
			}
			d.shows(want)
		}
	})
	t.Run("an unknown name is said", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press(":")
		d.types("frobnicate")
		d.press("enter")
		d.shows(`there is no "frobnicate"`)
		d.press("esc")
		d.hides("frobnicate")
	})
	t.Run("the cursor moves by rows, pages, and to the ends", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4")
		rows := d.rows()
		for _, step := range []struct {
			keys string
			want int
		}{{"j", 1}, {"k", 0}, {"k", 0}, {"down", 1}, {"up", 0}, {"ctrl+d", rows / 2},
			{"ctrl+u", 0}, {"n", rows}, {"p", 0}, {"pgdown", rows}, {"pgup", 0}, {"G", 39},
			{"g", 0}} {
			d.press(step.keys)
			if got := d.page().cursor; got != step.want {
				t.Errorf("%s: the cursor is at %d, want %d", step.keys, got, step.want)
			}
		}
	})
	t.Run("another page of a set is read at once", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4", "G")
		d.shows("37 to 40 of 40")
		if row := d.current(); row == nil || !strings.Contains(row.key, fmt.Sprintf("%024x", 39)) {
			t.Errorf("%v", row)
		}
	})
	t.Run("enter opens, esc goes back", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("7", "enter")
		d.shows("held NewWorker")
		d.press("right")
		d.shows("job bb")
		d.press("esc", "h")
		d.shows("> NewWorker")
		d.press("esc")
		d.shows("[1 overview]")
	})
	t.Run("enter at a process shows its jobs", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("8", "j", "j", "enter")
		d.shows("1 to 3 of 3")
		d.press("esc")
		d.press("esc", "k", "enter")
		d.shows("the filter chooses none")
	})
	t.Run("a filter chooses rows, and its mistakes are said in the line", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4", "/")
		d.types("host:host-1.example.jp")
		d.press("enter")
		d.shows("1 to 10 of 10")
		d.press("/")
		d.types(" age:1")
		d.press("enter")
		d.shows("want age>2h or age<90s")
		d.press("esc", "esc")
		d.shows("1 to 18 of 40")
		d.press("2", "/")
		d.types("mail")
		d.press("enter")
		d.shows("1 to 1 of 1")
	})
	t.Run("s changes the order", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("2", "s")
		d.shows("by size")
		if !strings.Contains(d.line(4), "通知") {
			t.Errorf("%s", d.frame())
		}
		d.press("s", "s")
		d.shows("by name")
	})
	t.Run("w shows all columns", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press("4")
		d.hides("RETRY")
		d.press("w")
		d.shows("RETRY")
	})
	t.Run("a job that is nowhere is said", func(t *testing.T) {
		d := drive(t, busyFleet())
		d.press(":")
		d.types("job 0123")
		d.press("enter")
		d.shows("job 0123: ")
	})
}
