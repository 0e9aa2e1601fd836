package inspect_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

func TestAudit(t *testing.T) {
	f := newFixture(t)
	for _, what := range []string{"first", "second", "third"} {
		err := f.in.Record(t.Context(), inspect.Act{By: "ada", Host: "h", Command: "dead delete",
			What: what})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("has the latest acts first, with their times", func(t *testing.T) {
		acts, err := f.in.Acts(t.Context(), 2)
		if err != nil || len(acts) != 2 {
			t.Fatal(acts, err)
		}
		if ago := time.Since(acts[0].At); ago > time.Minute || ago < -time.Minute {
			t.Error("recorded at", acts[0].At)
		}
		acts[0].At = time.Time{}
		same(t, "the act", acts[0], inspect.Act{By: "ada", Host: "h", Command: "dead delete",
			What: "third"})
		same(t, "the one before", acts[1].What, "second")
	})
	t.Run("is empty at first", func(t *testing.T) {
		f.raw.FlushDB(t.Context())
		acts, err := f.in.Acts(t.Context(), 2)
		if len(acts) > 0 || err != nil {
			t.Error(acts, err)
		}
	})
}
