package inspect_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestMarks(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	for i, label := range []string{"second", "first"} {
		if made, err := f.in.MarkDeploy(t.Context(), label,
			now.Add(-time.Duration(i)*24*time.Hour)); err != nil || !made {
			t.Fatal(made, err)
		}
	}
	marks, err := f.in.Marks(t.Context(), 3, now)
	if err != nil || len(marks) != 2 || marks[0].Label != "first" || marks[1].Label != "second" ||
		marks[1].At.Second() != 0 {
		t.Errorf("%+v %v", marks, err)
	}
	var invalid *queue.InvalidError
	if _, err := f.in.MarkDeploy(t.Context(), " ", now); !errors.As(err, &invalid) {
		t.Error(err)
	}
	if _, err := f.in.Marks(t.Context(), 91, now); err == nil {
		t.Error("91 days of marks")
	}
}
