package main

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
)

// offers are the words that a shell offers for the last of these.
func (s *terminal) offers(words ...string) (offered []string) {
	s.Helper()
	out, _, code := s.run(append([]string{"__completeNoDesc"}, words...)...)
	if code != 0 {
		s.Errorf("%q: exit code %d", words, code)
	}
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, ":") {
			offered = append(offered, line)
		}
	}
	return offered
}

// offering checks the words that a shell offers.
func (s *terminal) offering(want string, words ...string) {
	s.Helper()
	got := s.offers(words...)
	slices.Sort(got)
	if strings.Join(got, " ") != want {
		s.Errorf("workerctl %q: offers %q, want %q", words, got, want)
	}
}

func TestCandidates(t *testing.T) {
	s := withRedis(t)
	s.store("retry", "A", "a1")
	s.store("retry", "A", "a2")
	s.store("retry", "A", "b1")
	s.store("kyu:hold:Later", "Later", "h1")
	s.raw.SAdd(t.Context(), "kyu:held", "Later")
	s.ok("", "push A --queue default --jid q1")
	s.ok("", "push A --queue delete --jid q2")
	s.process("h:1:one")
	s.lock("uniquejobs:1", "job")
	s.scheduled(t, cron.Entry{Name: "night", Every: time.Hour, Class: "B"})
	for line, want := range map[string]string{
		"sta":                     "stats",
		"retries re":              "requeue reschedule retry",
		"retries delete ":         "a1 a2 b1",
		"retries delete a1 a":     "a2",
		"--all retries delete b":  "b1",
		"dead retry ":             "",
		"queue ":                  "default delete",
		"queue def":               "default",
		"queue default ":          "delete kill move",
		"queue delete delete ":    "q2",
		"push A --queue d":        "default delete",
		"held ":                   "Later",
		"held Later ":             "delete release",
		"held Later release ":     "h1",
		"quiet h:":                "h:1:one",
		"stop ":                   "h h:1:one web",
		"cancel ":                 "j",
		"locks delete u":          "uniquejobs:1",
		"cron run ":               "night",
		"cron run night ":         "",
		"completion ba":           "bash",
		"help retries k":          "kill",
		"retries delete --al":     "--all",
		"stats ":                  "",
		"frobnicate the network ": "",
	} {
		t.Run(line, func(t *testing.T) { s.of(t).offering(want, strings.Split(line, " ")...) })
	}
	t.Run("are at most 25 jobs", func(t *testing.T) {
		s := s.of(t)
		for i := range 40 {
			s.store("schedule", "S", fmt.Sprint("s", i))
		}
		if n := len(s.offers("scheduled", "delete", "s")); n != 25 {
			t.Errorf("%d jobs", n)
		}
	})
}

func TestCandidatesWithoutRedis(t *testing.T) {
	t.Run("are none, and nothing is said, if Redis is away", func(t *testing.T) {
		withoutRedis(t).offering("", "retries", "delete", "")
	})
	t.Run("are none after 300 ms if Redis is silent", func(t *testing.T) {
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		s := &terminal{T: t, vars: map[string]string{"REDIS_URL": "redis://" +
			silent.Addr().String()}}
		start := time.Now()
		s.offering("", "queue", "")
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
