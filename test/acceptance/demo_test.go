package acceptance

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	t.Run("it shows strict order, a retry and a killed worker, and ends", testDemo)
}

func testDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Program("demo"))
	cmd.Env = append(os.Environ(), "REDIS_URL=", "DATABASE_URL=")
	b, err := cmd.CombinedOutput()
	out := string(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"3 deliveries with a good signature, 3 mails, 3 objects asked " +
		"for", "3 objects in Postgres, 3 statuses in bob's home feed", "WARN: fail", "reclaimed",
		"That was it."} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not print %q", want)
		}
	}
	var order []string
	for line := range strings.Lines(out) {
		if _, rest, ok := strings.Cut(line, "queue="); ok && strings.Contains(line, "INFO: start") {
			order = append(order, strings.Fields(rest)[0])
		}
	}
	if got := strings.Join(order[:min(12, len(order))], " "); got != "default default default "+
		"push push push mailers mailers mailers pull pull pull" {
		t.Error("the order was", got)
	}
}
