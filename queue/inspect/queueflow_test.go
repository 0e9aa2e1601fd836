package inspect

import "testing"

func TestFlows(t *testing.T) {
	seconds := func(n float64) *float64 { return &n }
	for name, x := range map[string]struct {
		size    int64
		in, out float64
		want    *float64 // nil: never
	}{
		"empties at the difference of the rates": {100, 5, 15, seconds(10)},
		"never empties if as many come as go":    {100, 5, 5, nil},
		"never empties if more come than go":     {100, 5, 4, nil},
		"is empty":                               {0, 5, 4, seconds(0)},
	} {
		t.Run(name, func(t *testing.T) {
			q := QueueStatus{QueueInfo: QueueInfo{Size: x.size}}
			q.flows(Rate{x.in, x.out})
			if *q.In != x.in || *q.Out != x.out {
				t.Errorf("in %v, out %v", *q.In, *q.Out)
			}
			if (q.Empty == nil) != (x.want == nil) || x.want != nil && *q.Empty != *x.want {
				t.Errorf("empty in %v, want %v", q.Empty, x.want)
			}
		})
	}
}
