package worker

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestOutage(t *testing.T) {
	t.Parallel()
	t.Run("is one line down and one line up, however many loops notice", func(t *testing.T) {
		synctest.Test(t, outageLines)
	})
	t.Run("counts errors and the time without Redis", func(t *testing.T) {
		synctest.Test(t, outageTimes)
	})
}

func outageLines(t *testing.T) {
	var log testwait.Log
	o := newOutage(slog.New(slog.NewTextHandler(&log, nil)))
	gone := errors.New("gone")
	o.worked("fetch")
	o.failed("fetch", gone)
	o.failed("beat", gone)
	o.failed("fetch", gone)
	o.worked("fetch")
	if o.last() != gone {
		t.Errorf("while a loop fails the last error is %v", o.last())
	}
	o.worked("beat")
	o.worked("beat")
	if o.last() != nil {
		t.Errorf("after the outage the last error is %v", o.last())
	}
	text := log.String()
	if n := strings.Count(text, "does not serve us"); n != 1 {
		t.Errorf("%d lines that Redis is away: %s", n, text)
	}
	if n := strings.Count(text, "serves us again"); n != 1 {
		t.Errorf("%d lines that Redis is back: %s", n, text)
	}
}

func outageTimes(t *testing.T) {
	o := newOutage(slog.New(slog.DiscardHandler))
	check := func(errors int64, down, steady time.Duration) {
		t.Helper()
		if n, d := o.total(); n != errors || d != down {
			t.Errorf("%d errors and %v down, want %d and %v", n, d, errors, down)
		}
		if d := o.steadyFor(); d != steady {
			t.Errorf("steady for %v, want %v", d, steady)
		}
	}
	<-time.After(time.Minute)
	check(0, 0, time.Minute)
	o.failed("fetch", errors.New("gone"))
	<-time.After(time.Second)
	o.failed("fetch", errors.New("gone"))
	check(2, time.Second, 0)
	<-time.After(time.Second)
	o.worked("fetch")
	<-time.After(time.Hour)
	check(2, 2*time.Second, time.Hour)
}
