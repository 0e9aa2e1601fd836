package live

import (
	"strings"
	"testing"
)

func TestScript(t *testing.T) {
	t.Parallel()
	t.Run("is small, and loads nothing", func(t *testing.T) {
		if n := len(Script); n == 0 || n > 6<<10 {
			t.Errorf("%d bytes", n)
		}
		for line := range strings.Lines(Script) {
			code, _, _ := strings.Cut(line, "//")
			if strings.Contains(code, "import") || strings.Contains(code, "http") {
				t.Errorf("%s", line)
			}
		}
	})
}
