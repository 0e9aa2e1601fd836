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
		day := now.Add(-time.Duration(i) * 24 * time.Hour)
		if made, err := f.in.MarkDeploy(t.Context(), label, day); err != nil || !made {
			t.Fatal(made, err)
		}
	}
	t.Run("are returned from the oldest on, to the minute", func(t *testing.T) {
		marks, err := f.in.Marks(t.Context(), 3, now)
		if err != nil || len(marks) != 2 {
			t.Fatalf("%+v %v", marks, err)
		}
		if marks[0].Label != "first" || marks[1].Label != "second" {
			t.Errorf("%+v", marks)
		}
		if marks[1].At.Second() != 0 {
			t.Errorf("the time is %v", marks[1].At)
		}
	})
	t.Run("are made once a minute for a label", func(t *testing.T) {
		if made, err := f.in.MarkDeploy(t.Context(), "first", now); err != nil || made {
			t.Error(made, err)
		}
	})
	t.Run("are refused without a label", func(t *testing.T) {
		var invalid *queue.InvalidError
		if _, err := f.in.MarkDeploy(t.Context(), " ", now); !errors.As(err, &invalid) {
			t.Error(err)
		}
	})
	t.Run("are refused for more than 90 days", func(t *testing.T) {
		if _, err := f.in.Marks(t.Context(), 91, now); err == nil {
			t.Error("no error")
		}
	})
}
