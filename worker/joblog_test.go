package worker

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestJobLog(t *testing.T) {
	t.Parallel()
	t.Run("names the job by the fields of its payload", func(t *testing.T) {
		j := parse(t, `{"class":"A","jid":"x","args":[],"tags":["blue","1"],"bid":"b1","extra":7}`)
		attrs := jobAttrs(j, &queue.Delivery{Queue: "q"}, newSlot("t0"),
			[]string{"bid", "tags", "missing", "extra"})
		var log testwait.Log
		slog.New(slog.NewTextHandler(&log, nil)).Info("line", attrs...)
		const want = "class=A jid=x queue=q tid=t0 bid=b1 tags=blue,1 extra=7"
		if got := log.String(); !strings.Contains(got, want) {
			t.Errorf("%s does not have %s", got, want)
		}
	})
	t.Run("has a list of mixed types whole in JSON", func(t *testing.T) {
		j := parse(t, `{"class":"A","jid":"x","args":[],"tags":["a,b",1,{"c":null}],"empty":[]}`)
		attrs := jobAttrs(j, &queue.Delivery{Queue: "q"}, newSlot("t0"), []string{"tags", "empty"})
		var log testwait.Log
		slog.New(slog.NewJSONHandler(&log, nil)).Info("line", attrs...)
		const want = `"tid":"t0","tags":["a,b",1,{"c":null}]}`
		if got := log.String(); !strings.Contains(got, want) {
			t.Errorf("%s does not have %s", got, want)
		}
	})
	t.Run("ends a job with a line for its decision", func(t *testing.T) {
		p := testPolicy()
		for want, d := range map[string]decision{
			"msg=done":                       p.after(t, nil, `"retry":1`),
			"msg=fail elapsed=1.5 err=boom":  p.after(t, errBoom, `"retry":1`),
			"level=ERROR":                    p.after(t, errBoom, `"retry":0`),
			"fail: it is not kept":           decidedDropped,
			"msg=snoozed":                    p.after(t, queue.Snooze(time.Hour), `"retry":1`),
			"interrupted: back to its queue": decidedRequeue,
			"interrupted between two steps":  p.after(t, errInterrupted, `"retry":1`),
		} {
			var log testwait.Log
			logger := slog.New(slog.NewTextHandler(&log, nil))
			logDecision(logger, &d, errBoom, 1500*time.Millisecond)
			if got := log.String(); !strings.Contains(got, want) {
				t.Errorf("%s does not have %s", got, want)
			}
		}
	})
}
