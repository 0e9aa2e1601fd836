package top

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// scenes are the keys that lead to frames of all views.
var scenes = map[string][]string{
	"overview":  nil,
	"queues":    {"2", "j"},
	"busy":      {"3"},
	"retries":   {"4", "space"},
	"dead":      {"6"},
	"held":      {"7"},
	"processes": {"8", "s"},
	"job":       {"4", "enter"},
	"question":  {"4", "/", "h", "o", "s", "t", ":", "*", ".", "j", "p", "enter", "D"},
	"mistake":   {"4", "/", "a", "g", "e", ":", "1", "enter"},
	"help":      {"?"},
}

func TestFrame(t *testing.T) {
	for name, keys := range scenes {
		for _, size := range [][2]int{{80, 24}, {200, 60}} {
			for _, colour := range []bool{false, true} {
				file := fmt.Sprintf("%s-%dx%d", name, size[0], size[1])
				if colour {
					file += "-colour"
				}
				t.Run(file, func(t *testing.T) {
					d := drive(t, busyFleet(), func(o *Options) { o.Colour = colour })
					d.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
					d.press(keys...)
					golden(t, file, d.frame())
				})
			}
		}
	}
}

// golden compares a frame with the file of a name. The escape character is written as ␛.
func golden(t *testing.T, name, frame string) {
	t.Helper()
	frame = strings.ReplaceAll(frame, "\x1b", "␛") + "\n"
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(frame), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if frame != string(want) {
		t.Errorf("the frame differs from %s (write it anew with -update):\n%s", path, frame)
	}
}

func TestFrameFits(t *testing.T) {
	for name, keys := range scenes {
		t.Run(name+" is never wider or higher than the terminal", func(t *testing.T) {
			d := drive(t, busyFleet(), func(o *Options) { o.Colour = true })
			d.press(keys...)
			for _, size := range [][2]int{{1, 1}, {5, 3}, {20, 6}, {40, 12}, {79, 23}, {81, 25},
				{132, 43}, {300, 100}} {
				d.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
				lines := strings.Split(d.frame(), "\n")
				if len(lines) > size[1] {
					t.Errorf("%v: %d lines", size, len(lines))
				}
				for _, l := range lines {
					if n := columns(uncoloured(l)); n > size[0] {
						t.Errorf("%v: a line is %d wide: %q", size, n, l)
					}
				}
			}
		})
	}
	t.Run("texts of jobs do not steer the terminal", func(t *testing.T) {
		d := drive(t, busyFleet())
		for _, view := range "12345678" {
			d.press(string(view))
			if strings.ContainsAny(uncoloured(d.frame()), "\x1b\r\t") {
				t.Errorf("%q", d.frame())
			}
		}
	})
}

// uncoloured is a frame without the codes of styles.
func uncoloured(frame string) string {
	for _, sequences := range sequences {
		for _, code := range sequences {
			frame = strings.ReplaceAll(frame, "\x1b["+code+"m", "")
		}
	}
	return strings.ReplaceAll(frame, "\x1b[m", "")
}
