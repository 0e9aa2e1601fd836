package top

import (
	"slices"
	"strings"
	"testing"
)

func TestGrid(t *testing.T) {
	g := &grid{columns: []column{{title: "CLASS"}, {title: "ARGS", text: true},
		{title: "JID", name: true}, {title: "TID", extra: true}, {title: "NONE", extra: true}},
		rows: []row{{cells: []string{strings.Repeat("c", 30), strings.Repeat("引", 30),
			strings.Repeat("j", 24), "t1", ""}}}}
	for _, c := range []struct {
		name  string
		width int
		wide  bool
		want  []int
	}{
		{"shows all that there is if it fits", 200, false, []int{30, 60, 24, 3, 0}},
		{"cuts texts first", 105, false, []int{30, 42, 24, 3, 0}},
		{"drops what is extra before texts cannot be read", 80, false, []int{30, 22, 24, 0, 0}},
		{"keeps what is extra if it is to be wide", 80, true, []int{27, 20, 24, 3, 0}},
		{"cuts names last", 40, false, []int{7, 7, 22, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := g.layout(c.width, c.wide)
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
			if line := g.text(g.rows[0].cells, got); columns(line) > c.width {
				t.Errorf("%d wide: %q", columns(line), line)
			}
		})
	}
}
