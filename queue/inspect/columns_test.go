package inspect_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

func TestColumns(t *testing.T) {
	now := time.Date(2026, 11, 29, 8, 0, 5, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Truncate(10 * time.Second).Add(-d) }
	t.Run("are the slots, if there are few", func(t *testing.T) {
		c := inspect.NewColumns(now, time.Minute, 10*time.Second, 100)
		same(t, "Len", c.Len(), 6)
		same(t, "the first", c.At(0), ago(50*time.Second))
		same(t, "the last", c.At(5), ago(0))
	})
	t.Run("have several slots, if there are many", func(t *testing.T) {
		c := inspect.NewColumns(now, time.Minute, 10*time.Second, 2)
		same(t, "Len", c.Len(), 2)
		same(t, "the first", c.At(0), ago(50*time.Second))
		same(t, "the second", c.At(1), ago(20*time.Second))
	})
	t.Run("have the largest of a queue, and its rates", func(t *testing.T) {
		list := inspect.NewColumns(now, time.Minute, 10*time.Second, 2).Queue([]inspect.Point{
			{At: ago(50 * time.Second), Size: 3, Age: 2, In: 10, Out: 20},
			{At: ago(40 * time.Second), Size: 7, Age: 1, In: 30, Out: 20},
		})
		same(t, "the first", list[0], inspect.QueueColumn{Known: true, Size: 7, Age: 2, In: 2,
			Out: 2})
		same(t, "the second", list[1], inspect.QueueColumn{})
	})
	t.Run("count what came in slots without a worker over their time", func(t *testing.T) {
		list := inspect.NewColumns(now, time.Minute, 10*time.Second, 6).Queue([]inspect.Point{
			{At: ago(50 * time.Second)}, {At: ago(20 * time.Second), In: 90, Out: 10}})
		same(t, "In", list[3].In, 3)
		same(t, "Out", list[3].Out, 1)
	})
	t.Run("have the runs of a class a second", func(t *testing.T) {
		list := inspect.NewColumns(now, time.Minute, 10*time.Second, 2).Class([]inspect.ClassPoint{
			{At: ago(50 * time.Second), Processed: 40, Failed: 10, Millis: 6000},
			{At: ago(30 * time.Second), Processed: 20, Failed: 20}})
		same(t, "the first", list[0], inspect.ClassColumn{Runs: 2, Failures: 1, Mean: 0.2})
		same(t, "the second", list[1], inspect.ClassColumn{})
	})
}
