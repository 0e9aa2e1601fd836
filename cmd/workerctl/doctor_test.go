package main

import (
	"bytes"
	"strings"
	"testing"
)

// examine makes an examination without servers.
func examine(change func(*doctor)) (*examination, *bytes.Buffer) {
	var out bytes.Buffer
	d := &doctor{}
	if change != nil {
		change(d)
	}
	return &examination{doctor: d, call: &call{out: &out}}, &out
}

// only checks that there is one finding, of a level, with a text and a remedy.
func (e *examination) only(t *testing.T, level, text, remedy string) {
	t.Helper()
	if len(e.findings) != 1 || e.findings[0].Level != level ||
		!strings.Contains(e.findings[0].Text, text) ||
		!strings.Contains(e.findings[0].Remedy, remedy) {
		t.Errorf("%+v, want only %s: %s → %s", e.findings, level, text, remedy)
	}
}

func TestDoctor(t *testing.T) {
	t.Run("reports a Redis that does not answer as a finding", func(t *testing.T) {
		out, errs, code := withoutRedis(t).run("doctor")
		if code != 2 || errs != "" || !strings.Contains(out, "wrong    redis      ") ||
			!strings.Contains(out, "is it running, and is REDIS_URL right?") {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	})
	t.Run("looks at the queues of a Redis that answers", func(t *testing.T) {
		s := withRedis(t)
		s.ok("", "push A --queue lost")
		out, errs, code := s.run("doctor")
		if code != 2 || errs != "" || !strings.Contains(out, "lost: 1 jobs") ||
			!strings.Contains(out, "no process serves it") {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	})
}

func TestReport(t *testing.T) {
	for _, x := range []struct {
		name string
		add  func(*examination)
		want error
	}{
		{"is good without findings", func(*examination) {}, nil},
		{"warns", func(e *examination) { e.good("a", "b"); e.bad(warning, "a", "c", "b") },
			exitCode(1)},
		{"has the worst level",
			func(e *examination) { e.bad(wrong, "a", "", "b"); e.good("a", "b") }, exitCode(2)},
	} {
		t.Run(x.name, func(t *testing.T) {
			e, _ := examine(nil)
			x.add(e)
			if got := e.report(); got != x.want {
				t.Errorf("%v, want %v", got, x.want)
			}
		})
	}
	t.Run("puts the remedy below its finding", func(t *testing.T) {
		e, out := examine(nil)
		e.bad(wrong, "redis", "start it", "\x1bgone")
		e.report()
		want := "wrong    redis      ·gone\n                    → start it\n"
		if out.String() != want {
			t.Errorf("%q, want %q", out, want)
		}
	})
	t.Run("is an empty list in JSON without findings", func(t *testing.T) {
		e, out := examine(nil)
		e.form = jsonText
		if e.report(); out.String() != "[]\n" {
			t.Errorf("%q", out)
		}
	})
}
