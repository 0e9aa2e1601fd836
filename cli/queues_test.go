package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/worker"
)

func TestQueue(t *testing.T) {
	t.Run("has a name, and a weight or what strict order gives it besides", func(t *testing.T) {
		for text, want := range map[string]worker.QueueWeight{
			"pull":          {Name: "pull"},
			" pull ,3":      {Name: "pull", Weight: 3},
			"pull,floor=5%": {Name: "pull", Floor: worker.Floor{Share: 0.05}},
			"pull,floor=2.5%, max=3 ,late=60s": {Name: "pull", Floor: worker.Floor{Share: 0.025,
				Max: 3, Late: time.Minute}},
		} {
			got, err := parseQueue(text)
			if err != nil || got != want {
				t.Errorf("%q: %+v %v, want %+v", text, got, err, want)
			}
			again, err := parseQueue(queueList([]worker.QueueWeight{got}))
			if err != nil || again != got {
				t.Errorf("%q is written as %s", text, queueList([]worker.QueueWeight{got}))
			}
		}
	})
	t.Run("is refused with all its problems", func(t *testing.T) {
		_, err := parseQueue("pull,x,floor=5,max=0,late=60,min=3")
		if err == nil {
			t.Fatal("no error")
		}
		for _, want := range []string{"weight after the comma", "floor=5: want", "max=0: want",
			"late=60: want an age with its unit", "there is no min"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
	})
}

func FuzzQueueFlag(f *testing.F) {
	f.Add("default,5")
	f.Add(" a , ,1")
	f.Add("pull,floor=5%,max=3,late=60s")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseQueue(text)
		bad := q.Weight < 0 || q.Floor.Share < 0 || q.Floor.Share > 1 || q.Floor.Max < 0 ||
			q.Floor.Late < 0
		if err == nil && bad {
			t.Errorf("%q is %+v", text, q)
		}
	})
}
