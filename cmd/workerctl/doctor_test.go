package main

import (
	"io"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/internal/doctor"
)

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
	good := doctor.Finding{Level: doctor.Good, About: "a", Text: "b"}
	bad := doctor.Finding{Level: doctor.Warning, About: "a", Text: "b", Remedy: "c"}
	worst := doctor.Finding{Level: doctor.Wrong, About: "redis", Text: "\x1bgone",
		Remedy: "start it"}
	for _, x := range []struct {
		name string
		list []doctor.Finding
		want error
	}{
		{"is good without findings", nil, nil},
		{"warns", []doctor.Finding{good, bad}, exitCode(1)},
		{"has the worst level", []doctor.Finding{worst, bad, good}, exitCode(2)},
	} {
		t.Run(x.name, func(t *testing.T) {
			if got := (&call{out: io.Discard}).report(x.list); got != x.want {
				t.Errorf("%v, want %v", got, x.want)
			}
		})
	}
	t.Run("puts the remedy below its finding", func(t *testing.T) {
		var out strings.Builder
		(&call{out: &out}).report([]doctor.Finding{worst})
		want := "wrong    redis      ·gone\n                    → start it\n"
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
	t.Run("is an empty list in JSON without findings", func(t *testing.T) {
		var out strings.Builder
		(&call{out: &out, form: jsonText}).report(nil)
		if out.String() != "[]\n" {
			t.Errorf("%q", out.String())
		}
	})
}
