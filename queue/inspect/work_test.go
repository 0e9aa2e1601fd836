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
