package cron

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Run("reads the schedule of Mastodon's sidekiq.yml", testMastodon)
	t.Run("reads Kyu's own form", testOwnForm)
	t.Run("reads the files of sidekiq-cron", func(t *testing.T) {
		s, err := Parse("schedule.yml", []byte("My job:\n  cron: '*/5 * * * * Asia/Tokyo'\n"+
			"  class: Hard::Job\n  queue: low\n  args: '[1, 2.0]'\n"+
			"other: {cron: '@daily', klass: X, args: {a: 1}, status: disabled}\n"), "")
		if err != nil {
			t.Fatal(err)
		}
		one, two := s.Entries[0], s.Entries[1]
		same(t, "the first", fmt.Sprint(one.Name, one.Cron, one.Class, one.Queue, one.Args,
			one.Beside), "My job*/5 * * * * Asia/TokyoHard::Jobl"+"ow[1 2]sidekiq-cron")
		same(t, "the second", fmt.Sprint(two.Class, two.Args, two.Disabled), "X[map[a:1]] true")
	})
	t.Run("leaves out the entries of other environments", func(t *testing.T) {
		s, err := Parse("x.yml", []byte(":schedule:\n  a: {every: 1h, rails_env: 'staging, test'}\n"+
			"  b: {every: 1h, rails_env: production}\n"), "test")
		if err != nil || len(s.Entries) != 1 || s.Entries[0].Name != "a" {
			t.Error(s.Entries, err)
		}
	})
	t.Run("understands merges and aliases", func(t *testing.T) {
		s, err := Parse("x.yml", []byte("entries:\n  a: &a {every: 1h, class: A, queue: q}\n"+
			"  b:\n    <<: *a\n    class: B\n"), "")
		if err != nil || s.Entries[1].Queue != "q" || s.Entries[1].Class != "B" {
			t.Error(s.Entries, err)
		}
	})
}

func testMastodon(t *testing.T) {
	s, err := Load("testdata/mastodon.yml", "production")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range s.Entries {
		got = append(got, strings.TrimSpace(fmt.Sprint(e.Name, " ", e.Cron, " ", e.Every)))
		same(t, "queue and retries of "+e.Name, e.Queue+" "+e.Retry, "scheduler 0")
	}
	same(t, "entries", strings.Join(got, "\n"), strings.Join([]string{
		"scheduled_statuses_scheduler  5m0s", "trends_refresh_scheduler  5m0s",
		"indexing_scheduler  1m0s", "vacuum_scheduler H H(3-5) * * * 0s",
		"pghero_scheduler 0 0 * * * 0s"}, "\n"))
	same(t, "listened queues only", s.ListenedQueuesOnly, true)
	notes := strings.Join(s.Notes, "\n")
	for _, want := range []string{"mastodon.yml:26: <%= Random.rand(0..59) %> is read as H:",
		"is read as H(3-5)", "first_in has no effect"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note %q in\n%s", want, notes)
		}
	}
}

func testOwnForm(t *testing.T) {
	s, err := Parse("schedule.yml", []byte(`
name: shop
tz: Europe/Berlin
entries:
  nightly:
    cron: 0 3 * * *
    class: Nightly
    args: [1, "x", 1.0, {a: null}]
    retry: 5
    misfire: all
    overlap: skip
    overlap_for: 2h
    only_if:
      - {queue: pull, size_below: 50}
      - {queue: push, latency_below: 5m}
    description: At night.
    extra: {lock: until_executed}
  ticks: {every: 30s, class: Tick, enabled: false}
  tokyo: {cron: "0 3 * * * Asia/Tokyo", class: Tick}
`), "")
	if err != nil {
		t.Fatal(err)
	}
	n := s.Entries[0]
	same(t, "name", s.Name, "shop")
	same(t, "job", fmt.Sprint(n.Class, n.Args, n.Retry, n.Extra, n.Description),
		"Nightly[1 x 1 map[a:<nil>]]5map[lock:until_executed]At night.")
	same(t, "policies", fmt.Sprint(n.TZ, n.Misfire, n.NoOverlap, n.OverlapFor, n.OnlyIf),
		"Europe/Berlinalltrue 2h0m0s [{pull 50 0s} {push 0 5m0s}]")
	same(t, "ticks", fmt.Sprint(s.Entries[1].Every, s.Entries[1].Disabled, s.Entries[1].TZ),
		"30s true")
	same(t, "zone of tokyo", s.Entries[2].TZ, "")
	again, err := parseSpec(n.spec())
	if err != nil || again.spec() != n.spec() || !strings.Contains(n.spec(), `[1,"x",1.0,{"a":`) {
		t.Errorf("%s, after reading it %s: %v", n.spec(), again.spec(), err)
	}
}

func TestParseProblems(t *testing.T) {
	t.Run("come together, each with its line", func(t *testing.T) {
		_, err := Parse("s.yml", []byte(`entries:
  a: {cron: "61 * * * * *", class: A}
  b: {every: never, class: "B!"}
  c:
    cron: "0 0 30 2 *"
    class: C
    tz: Mars/Phobos
    colour: red
  d: {class: D}
  e: {every: 1h, class: E, only_if: {queue: pull}, misfire: twice, overlap: maybe}
  f: {cron: "<%= ENV['X'] %>", class: F}
  g: {every: 1h, class: G, extra: {jid: x}}
`), "")
		got := flatten(err)
		for _, want := range []string{"s.yml:2: entry a: cron", "s.yml:3: every \"never\"",
			"s.yml:3: entry b: class \"B!\"", "matches no day", "s.yml:8: entry c: the key colour",
			"tz \"Mars/Phobos\"", "s.yml:9: entry d: want one of cron and every",
			"size_below, latency_below or both", `misfire "twice"`, `overlap "maybe"`,
			"s.yml:11: cron: an ERB tag", "entry g: push: extra"} {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("no %q in\n%v", want, err)
			}
		}
		if len(got) < 12 {
			t.Errorf("%d problems:\n%v", len(got), err)
		}
	})
	for text, want := range map[string]string{
		"":                         "the file is empty",
		"a: [":                     "s.yml: yaml",
		"<% if x %>\na: {cron: b}": "ERB tags",
		"entries: 5":               "s.yml:1: want entries",
		"entries: {a: 5}":          "s.yml:1: entry a: want settings",
		"a: {class: X}":            "a is no entry: it has no cron",
		":schedule: {a: {in: 5m}}": "due once",
		":scheduler: {x: 1}":       ":scheduler: has no key x",
		"entries: [{every: 1h}]":   "want an entry with a name",
		"entries:\n- &a {name: a, every: 1h, class: A}\n- *a": "entry a is also in line 2",
	} {
		t.Run("say what is wrong with "+strings.ReplaceAll(text, "\n", " "), func(t *testing.T) {
			_, err := Parse("s.yml", []byte(text), "")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	t.Run("name a file that is not there", func(t *testing.T) {
		if _, err := Load("nowhere.yml", ""); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/mastodon.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("entries:\n  a: {cron: 'H(1-3)/2 * L * *', class: A, only_if: [{queue: q}]}")
	f.Add("a: {cron: '<%= rand(1...5) %> * * * *', class: A}")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("x.yml", []byte(text), "test")
		if err != nil {
			return
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		for _, e := range s.Entries {
			if again, err := parseSpec(e.spec()); err != nil || again.rev() != e.rev() {
				t.Fatalf("%s becomes %s: %v", e.spec(), again.spec(), err)
			}
		}
	})
}

func FuzzExpression(f *testing.F) {
	f.Add("*/5 1-3,H(4-9) 1 jan mon-fri", int64(1796000000))
	f.Add("* * 29 2 *", int64(0))
	f.Fuzz(func(t *testing.T, text string, at int64) {
		e, _, err := parseExpression(text, "x")
		if err != nil {
			return
		}
		c := calendar{*e, time.UTC}
		after := time.Unix(at%4e9, 0)
		slot := c.next(after)
		if !slot.After(after) || !e.matchesDay(slot) || !e.hour.has(slot.Hour()) ||
			!e.minute.has(slot.Minute()) || !e.second.has(slot.Second()) {
			t.Fatalf("%q after %v: %v", text, after, slot)
		}
	})
}
