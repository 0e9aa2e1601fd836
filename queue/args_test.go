package queue_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker/workertest"
)

type welcome struct {
	User   int
	Locale string   `job:"optional"`
	Tags   []string `job:"rest"`
}

func (welcome) JobClass() string { return "WelcomeWorker" }

type broken struct {
	A int `job:"optional"`
	B int
}

func (broken) JobClass() string { return "Broken" }

type ownJSON struct{ A int }

func (ownJSON) JobClass() string             { return "OwnJSON" }
func (ownJSON) MarshalJSON() ([]byte, error) { return []byte("[]"), nil }

type number int

func (number) JobClass() string { return "Number" }

// pushedArgs returns the arguments of the jobs that fake has, and empties it.
func pushedArgs(fake *workertest.Fake) (list []string) {
	for _, j := range fake.Jobs("WelcomeWorker") {
		list = append(list, string(j.Args))
	}
	fake.Clear()
	return list
}

func TestPush(t *testing.T) {
	fake := &workertest.Fake{}
	c := queue.NewClient(fake)
	t.Run("sends the fields of a struct as arguments, in order", func(t *testing.T) {
		jid, err := queue.Push(t.Context(), c, welcome{1, "ja", []string{"a", "b"}},
			queue.Options{Queue: "mailers"})
		jobs := fake.Jobs()
		if err != nil || len(jobs) != 1 {
			t.Fatalf("%v, %v", jobs, err)
		}
		same(t, "the JID", jobs[0].JID, jid)
		same(t, "the queue", jobs[0].Queue, "mailers")
		if got := pushedArgs(fake); !slices.Equal(got, []string{`[1,"ja","a","b"]`}) {
			t.Errorf("pushed %v", got)
		}
	})
	t.Run("takes a pointer to a struct, and no options", func(t *testing.T) {
		if _, err := queue.Push(t.Context(), c, &welcome{User: 2}); err != nil {
			t.Fatal(err)
		}
		if got := pushedArgs(fake); !slices.Equal(got, []string{"[2]"}) {
			t.Errorf("pushed %v", got)
		}
	})
	for name, wrong := range map[string]struct {
		args queue.Args
		want string
	}{
		"a wrong tag":       {broken{}, "broken.B is required but comes after an optional one"},
		"args of no struct": {number(1), "want a struct"},
		"a nil pointer":     {(*welcome)(nil), "want a struct"},
		"a MarshalJSON":     {ownJSON{}, "push its arguments with Client.Push"},
	} {
		t.Run("refuses "+name+", and pushes nothing", func(t *testing.T) {
			_, err := queue.Push(t.Context(), c, wrong.args)
			var invalid *queue.InvalidError
			if !errors.As(err, &invalid) || !says(err, wrong.want) {
				t.Errorf("error %v, want one that says %q", err, wrong.want)
			}
			same(t, "the number of pushed jobs", len(fake.Jobs()), 0)
		})
	}
}

func TestPushAll(t *testing.T) {
	fake := &workertest.Fake{}
	c := queue.NewClient(fake)
	t.Run("pushes a job for each element, in order", func(t *testing.T) {
		jids, err := queue.PushAll(t.Context(), c, []welcome{{User: 1}, {User: 2}, {User: 3}})
		if err != nil || len(jids) != 3 {
			t.Fatal(jids, err)
		}
		if got := pushedArgs(fake); !slices.Equal(got, []string{"[1]", "[2]", "[3]"}) {
			t.Errorf("pushed %v", got)
		}
	})
	t.Run("pushes nothing for an empty list", func(t *testing.T) {
		if jids, err := queue.PushAll(t.Context(), c, []welcome{}); err != nil || jids != nil {
			t.Errorf("%v, %v", jids, err)
		}
	})
	t.Run("pushes nothing if one element is wrong", func(t *testing.T) {
		_, err := queue.PushAll(t.Context(), c, []queue.Args{welcome{User: 1}, number(1)})
		if err == nil {
			t.Error("no error")
		}
		same(t, "the number of pushed jobs", len(fake.Jobs()), 0)
	})
}
