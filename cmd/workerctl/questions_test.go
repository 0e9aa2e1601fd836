package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// update writes what the commands print now into the page.
var update = flag.Bool("update", false, "write the outputs into "+questionsPage)

const (
	questionsPage  = "../../docs/operations.md"
	questionsTitle = "## Ten questions at three in the morning\n"
)

// TestQuestions runs each command of the section against a prepared fleet, and compares what it
// prints with the page. Times, hosts and the widths of columns may differ.
func TestQuestions(t *testing.T) {
	page, err := os.ReadFile(questionsPage)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), questionsTitle)
	section, _, _ = strings.Cut(section, "\n## ")
	t.Run("are ten", func(t *testing.T) {
		if n := strings.Count(section, "\n### "); n != 10 {
			t.Errorf("%d questions", n)
		}
	})
	text := string(page)
	for _, block := range regexp.MustCompile("(?s)```console\n\\$ (.*?)\n(.*?)```").
		FindAllStringSubmatch(section, -1) {
		t.Run(block[1], func(t *testing.T) {
			got := fleetOf(t).answer(block[1])
			if *update {
				text = strings.Replace(text, block[0], "```console\n$ "+block[1]+"\n"+
					got+"```", 1)
			} else if d := diff(lines(block[2]), lines(got)); d != "" {
				t.Errorf("%s\nIf it is right: go test ./cmd/workerctl -run TestQuestions "+
					"-update", d)
			}
		})
	}
	if *update {
		if err := os.WriteFile(questionsPage, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// answer runs a line of a shell. A process becomes quiet and ends its jobs when the line waits for
// it. The name of this machine is replaced.
func (s *terminal) answer(line string) string {
	s.Helper()
	out := &onLine{do: func(text string) {
		if strings.Contains(text, "threads are busy") {
			s.raw.HSet(s.Context(), "web2:911:c2e4f6", "quiet", "true", "busy", 0)
		}
	}}
	var words []string
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1) {
		words = append(words, strings.Trim(word, "'"))
	}
	var errs bytes.Buffer
	code := run(context.Background(), words[1:], strings.NewReader(""), out, &errs,
		func(key string) string { return s.vars[key] })
	if code > 1 || errs.Len() > 0 {
		s.Errorf("%s: exit code %d, %s", line, code, &errs)
	}
	host, _ := os.Hostname()
	return strings.ReplaceAll(out.String(), "@"+host+" ", "@admin1 ")
}

// lines are the lines of an output, without what differs from run to run.
func lines(text string) []string {
	for _, r := range []struct{ pattern, by string }{
		{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+|\d{4}-\d\d-\d\dT[0-9:.]+\S+`, "TIME"},
		{`\b\d+(\.\d+)?(ms|s|m|h|d)( ?\d+[smh])?\b`, "AGE"},
		{`\b(AGE ago|in AGE|now), TIME`, "WHEN"},
		{`\(undo: workerctl undo \w+\)`, "(undo: workerctl undo ID)"},
		{` +`, " "},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.by)
	}
	return strings.Split(strings.TrimSpace(text), "\n")
}

// diff shows the lines that differ, between those that are the same at both ends.
func diff(want, got []string) string {
	for len(want) > 0 && len(got) > 0 && want[0] == got[0] {
		want, got = want[1:], got[1:]
	}
	for len(want) > 0 && len(got) > 0 && want[len(want)-1] == got[len(got)-1] {
		want, got = want[:len(want)-1], got[:len(got)-1]
	}
	if len(want)+len(got) == 0 {
		return ""
	}
	text := ""
	for _, line := range want {
		text += "- " + line + "\n"
	}
	for _, line := range got {
		text += "+ " + line + "\n"
	}
	return text
}

func TestDiff(t *testing.T) {
	if got := diff([]string{"a", "b", "c"}, []string{"a", "x", "c"}); got != "- b\n+ x\n" {
		t.Error(got)
	}
	if got := diff([]string{"a", "b"}, []string{"a", "b"}); got != "" {
		t.Error(got)
	}
	if got := diff([]string{"a"}, []string{"a", "a"}); got != "+ a\n" {
		t.Error(got)
	}
}

func TestLines(t *testing.T) {
	got := lines("a1b2c3  5m ago, 2026-11-29 04:19:52 JST\n12m03s  1h 2m  2026-11-29T04:19:52Z 3\n")
	want := []string{"a1b2c3 WHEN", "AGE AGE TIME 3"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
