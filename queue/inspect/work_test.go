package inspect_test

import "testing"

func TestWorkInProgress(t *testing.T) {
	f := newFixture(t)
	f.publish()
	t.Run("has the jobs of Kyu and of Sidekiq 8 and 6, the longest running first",
		func(t *testing.T) {
			work, err := f.in.WorkInProgress(t.Context())
			if err != nil || len(work) != 3 {
				t.Fatalf("%+v %v", work, err)
			}
			for i, want := range []string{"w1", "w2", "w3"} {
				same(t, "the job", work[i].Job.JID, want)
			}
		})
}

func TestWorkOf(t *testing.T) {
	f := newFixture(t)
	f.publish()
	t.Run("has the jobs of the processes that are named", func(t *testing.T) {
		work, err := f.in.WorkOf(t.Context(), "r:6:x", "r:9:x")
		if err != nil || len(work) != 1 || work[0].Job.JID != "w3" || work[0].Process != "r:6:x" {
			t.Errorf("%+v %v", work, err)
		}
	})
}
