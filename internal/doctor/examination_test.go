package doctor

import (
	"strings"
	"testing"
)

// only checks that there is one finding, of a level, with a text and a remedy.
func (e *Examination) only(t *testing.T, level, text, remedy string) {
	t.Helper()
	if len(e.Findings) != 1 || e.Findings[0].Level != level ||
		!strings.Contains(e.Findings[0].Text, text) ||
		!strings.Contains(e.Findings[0].Remedy, remedy) {
		t.Errorf("%+v, want only %s: %s → %s", e.Findings, level, text, remedy)
	}
}
