package dashboard_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/inspect"
)

// written writes a point of a queue into the finest ring, ago slots before the present one.
func (f *fixture) written(q string, ago int64, size uint32) {
	f.Helper()
	ring := redisdb.QueueRings[0]
	slot := time.Now().Unix()/int64(ring.Step.Seconds()) - ago
	b := binary.BigEndian.AppendUint32(nil, uint32(slot))
	for _, n := range []uint32{size, 420, 50, 0} { // 42 s old; 50 jobs out
		b = binary.BigEndian.AppendUint32(b, n)
	}
	f.must(f.raw.SAdd(f.Context(), "queues", q).Err())
	f.must(f.raw.SetRange(f.Context(), f.store.Keys().QueueHistory(q, ring),
		slot%int64(ring.Slots)*redisdb.PointBytes, string(b)).Err())
	f.must(f.raw.SetRange(f.Context(), f.store.Keys().QueueHistory(q, redisdb.ClassRing), 0,
		"x").Err())
}

// ran writes runs of a class, of 100 ms each, ago minutes before now.
func (f *fixture) ran(class string, ago, runs, failed int) {
	f.Helper()
	at := time.Now().UTC().Add(-time.Duration(ago) * time.Minute)
	f.must(f.raw.HSet(f.Context(), f.store.Keys().Minute8(at), class+"|p", runs, class+"|f",
		failed, class+"|ms", 100*(runs-failed)).Err())
}

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	f.written("a", 3, 1234)
	f.written("a", 2, 1000)
	f.ran("Feed::Push", 5, 60, 20)
	_, err := f.in.MarkDeploy(t.Context(), "v1.2 <b>", time.Now().Add(-10*time.Minute))
	f.must(err)
	t.Run("has the histories of queues, the classes and the deploys", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/metrics", 200)
		f.has(page, "Jobs that wait", "1,234", "Age of the oldest job", "42 s",
			"Jobs that workers finished", "/metrics/Feed::Push?since=1h", "60", "v1.2 <b>")
		for name, text := range map[string]string{"the lines": `class="line line-0" d="M`,
			"the deploys": `class="mark" d="M`, "the script": "/assets/charts.",
			"uPlot": "/assets/uPlot.iife.min."} {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %s", name, text)
			}
		}
	})
	t.Run("has the same data for its script", func(t *testing.T) {
		f := f.sub(t)
		_, rest, _ := strings.Cut(f.get("/metrics", 200), `data-plot="`)
		text, _, _ := strings.Cut(rest, `"`)
		var p dashboard.Plot
		f.must(json.Unmarshal([]byte(html.UnescapeString(text)), &p))
		if p.Name != "size" || len(p.Lines) != 1 || len(p.Times) != len(p.Lines[0].Values) ||
			p.Lines[0].Top() != 1234 || *p.Lines[0].Last() != 1000 || len(p.Marks) != 1 {
			t.Errorf("%+v", p)
		}
	})
	t.Run("has at most 8 queues, the largest", func(t *testing.T) {
		f := newFixture(t)
		for i := range 10 {
			f.written(fmt.Sprint("q", i), 2, 1)
			f.enqueue(fmt.Sprint("q", i), i)
		}
		page := f.get("/metrics", 200)
		f.has(page, "2 more have a history")
		if strings.Contains(page, `"name":"q1"`) || strings.Contains(page, "q1</th>") {
			t.Error("a small queue is shown")
		}
		page = f.get("/metrics?queue=q1", 200)
		f.has(page, "Queue q1", "All metrics", "queue=q1&since=8h")
		f.has(f.get("/queues/q1", 200), "/metrics?queue=q1")
	})
	t.Run("says what is missing", func(t *testing.T) {
		f := newFixture(t)
		f.has(f.get("/metrics", 200), "No worker of Kyu wrote a history", "No job ran",
			"No deploy was marked")
		f.has(f.get("/metrics/Nope", 200), "No job ran in this time")
		f.has(f.get("/metrics?since=2h", 400), "There is no time 2h to choose")
	})
	t.Run("goes back as far as there is history", func(t *testing.T) {
		for _, since := range []string{"1h", "8h", "3d", "7d", "30d", "400d"} {
			f := f.sub(t)
			page := f.get("/metrics?since="+since, 200)
			f.has(page, "v1.2 <b>")
			same(t, "capped at "+since, strings.Contains(page, "Of the last 72 hours"),
				len(since) > 2 || since == "7d")
			f.get("/metrics/Feed::Push?since="+since, 200)
		}
	})
	t.Run("of a class has its runs, their time and the deploys", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/metrics/Feed::Push", 200)
		f.has(page, "Metrics of Feed::Push", "60", "Runs and failures", "100 ms",
			"v1.2 <b>")
		if n := strings.Count(page, "<figure"); n != 2 {
			t.Errorf("%d charts", n)
		}
	})
	t.Run("is JSON for programs", func(t *testing.T) {
		f := f.sub(t)
		var p struct {
			Since   string
			Charts  []dashboard.Plot
			Classes []inspect.ClassTotals
			Deploys []inspect.Mark
		}
		f.must(json.Unmarshal([]byte(f.get("/api/v1/metrics", 200)), &p))
		if p.Since != "1h" || len(p.Charts) != 4 || len(p.Classes) != 1 ||
			p.Classes[0].Processed != 60 || len(p.Deploys) != 1 {
			t.Errorf("%+v", p)
		}
	})
}

func TestPlot(t *testing.T) {
	one, two, four := 1.0, 2.0, 4.0
	l := dashboard.Line{Values: []*float64{&two, &four, nil, &one, nil}}
	p := &dashboard.Plot{Times: []int64{100, 110, 120, 130, 140}, Lines: []dashboard.Line{l}}
	t.Run("draws lines with gaps, and single values as points", func(t *testing.T) {
		same(t, "the path", p.Path(l), "M0.0 60.0L150.0 0.0M450.0 90.0h0")
	})
	t.Run("draws zeros at the bottom", func(t *testing.T) {
		zero := 0.0
		l := dashboard.Line{Values: []*float64{&zero}}
		p := &dashboard.Plot{Times: []int64{100}, Lines: []dashboard.Line{l}}
		same(t, "the path", p.Path(l), "M0.0 120.0h0")
	})
	t.Run("has its deploys at their times", func(t *testing.T) {
		same(t, "X", p.X(inspect.Mark{At: time.Unix(110, 0)}), "150.0")
	})
	t.Run("knows the newest and the highest value", func(t *testing.T) {
		same(t, "Last", *l.Last(), 1)
		same(t, "Top", p.Top(), 4)
		same(t, "Last of nothing", dashboard.Line{}.Last() == nil, true)
	})
	t.Run("writes values in their units", func(t *testing.T) {
		for _, c := range []struct {
			unit  string
			value any
			want  string
		}{{"jobs", 1234.4, "1,234"}, {"seconds", 7200.0, "2 h"},
			{"seconds", 0.0421, "42 ms"}, {"seconds", 0.0, "0.0 s"}, {"per_second", 12.34, "12.3"},
			{"per_second", 0.0123, "0.012"}, {"per_second", 0.0, "0.0"},
			{"jobs", (*float64)(nil), ""}, {"jobs", &two, "2"}} {
			same(t, c.unit, dashboard.Measure("en", c.unit, c.value), c.want)
		}
	})
}
