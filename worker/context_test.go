package worker

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// newJobContext returns the context of a job, as run.dispatch makes it, with a log from level info
// on.
func newJobContext(t *testing.T, raw string) (*jobContext, *testwait.Log) {
	t.Helper()
	j, log := parse(t, raw), new(testwait.Log)
	return &jobContext{Context: t.Context(), job: j, env: &environment{},
		log:      withLevel(slog.New(slog.NewTextHandler(log, nil)), j),
		delivery: &queue.Delivery{Queue: "q"}, slot: newSlot("t0")}, log
}

func TestLogFrom(t *testing.T) {
	t.Parallel()
	t.Run("is slog's default outside of a worker", func(t *testing.T) {
		if LogFrom(t.Context()) != slog.Default() {
			t.Error("it is another logger")
		}
	})
	for name, c := range map[string]struct{ field, want string }{
		"info by default":       {"", "info error"},
		"a level by its name":   {`,"log_level":"debug"`, "debug info error"},
		"a level by its number": {`,"log_level":3`, "error"},
		"an unknown level":      {`,"log_level":"loud"`, "info error"},
	} {
		t.Run("writes lines by the job's log_level: "+name, func(t *testing.T) {
			ctx, log := newJobContext(t, `{"class":"A","jid":"x","args":[]`+c.field+`}`)
			LogFrom(ctx).Debug("debug")
			LogFrom(ctx).Info("info")
			LogFrom(ctx).Error("error")
			var got []string
			for line := range strings.Lines(log.String()) {
				if !strings.Contains(line, "class=A jid=x queue=q") {
					t.Errorf("%s does not name the job", line)
				}
				_, rest, _ := strings.Cut(line, "msg=")
				got = append(got, strings.Fields(rest)[0])
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("wrote %q, want %s", got, c.want)
			}
		})
	}
}

func TestJobContext(t *testing.T) {
	t.Parallel()
	t.Run("carries the job", func(t *testing.T) {
		ctx, _ := newJobContext(t, `{"class":"A","jid":"x","args":[]}`)
		if j := queue.JobFrom(ctx); j == nil || j.JID != "x" {
			t.Errorf("the job is %v", j)
		}
	})
	t.Run("ends when the handler has returned, whether it was asked before or not",
		func(t *testing.T) {
			asked, _ := newJobContext(t, `{"class":"A","args":[]}`)
			late, _ := newJobContext(t, `{"class":"A","args":[]}`)
			child, cancel := context.WithCancel(asked)
			defer cancel()
			if err := child.Err(); err != nil {
				t.Errorf("it has ended before: %v", err)
			}
			asked.end()
			late.end()
			<-child.Done()
			<-late.Done()
		})
	t.Run("has no quieting channel outside of a worker", func(t *testing.T) {
		if c := Quieting(t.Context()); c != nil {
			t.Error("the channel is not nil")
		}
	})
}
