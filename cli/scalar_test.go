package cli

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestRubyNumber(t *testing.T) {
	for text, want := range map[string]float64{"5": 5, "010": 8, "0x8": 8, "0b11": 3, "1_000": 1000,
		"1,000": 1000, "-3": -3, "2.5": 2.5, "1e3": 1000, "0": 0, "09": 9} {
		if got, err := rubyNumber(text); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "5 threads", "0x"} {
		if got, err := rubyNumber(text); err == nil && !math.IsNaN(got) {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	for yaml, want := range map[string]string{
		"max_retries: 9223372036854775807":               "want a whole number from 1 to 1000000",
		"max_retries: 2.5":                               "want a whole number",
		"poll_interval_average: 1e10":                    "poll_interval_average",
		"poll_interval_average: .inf":                    "poll_interval_average",
		"poll_interval_average: inf":                     "poll_interval_average",
		"timeout: nan":                                   "timeout",
		"timeout: .nan":                                  "timeout",
		"dead_max_jobs: 9223372036854775807":             "dead_max_jobs",
		"dead_timeout_in_seconds: 1e300":                 "dead_timeout_in_seconds",
		"max_iteration_runtime: -1":                      "max_iteration_runtime",
		"concurrency: 1000000":                           "concurrency",
		"concurrency: [5]":                               "want a number, not a list",
		"max_rss: nan":                                   "max-rss",
		"max_rss: 1e30G":                                 "max-rss",
		"verbose: maybe":                                 "want true or false",
		"allow_batches: 2":                               "want true or false",
		"capsules: {x: {concurency: 2, queues: [a]}}":    "a capsule has concurrency and queues",
		"capsules: {x: {concurrency: nan, queues: [a]}}": "concurrency",
	} {
		t.Run("refuses "+yaml, func(t *testing.T) {
			s := resolved(t, yaml+"\n", nil)
			if s.problems == nil || !strings.Contains(s.problems.Error(), want) {
				t.Errorf("%v, want %s", s.problems, want)
			}
		})
	}
	for args, want := range map[string]string{"-t 9999999999": "--timeout 9999999999",
		"--max-rss nan": "--max-rss", "--max-rss 1e30G": "--max-rss",
		"-c 99999999": "--concurrency"} {
		t.Run("refuses "+args, func(t *testing.T) {
			s := resolved(t, "", nil, strings.Fields(args)...)
			if s.problems == nil || !strings.Contains(s.problems.Error(), want) {
				t.Errorf("%v, want %s", s.problems, want)
			}
		})
	}
	for yaml, want := range map[string]string{"concurrency: 010": "8", "concurrency: 0x8": "8",
		"concurrency: 1_0": "10", ":concurrency:": "5", "concurrency: ~": "5"} {
		t.Run("reads "+yaml+" as Ruby does", func(t *testing.T) {
			s := resolved(t, yaml+"\n", nil)
			if got := fmt.Sprint(s.worker.Capsules[0].Concurrency); got != want {
				t.Errorf("%s, want %s (%v)", got, want, s.problems)
			}
		})
	}
	t.Run("reads yes as true", func(t *testing.T) {
		if s := resolved(t, "verbose: yes\nallow_batches: on\n", nil); s.problems != nil ||
			s.logLevel.String() != "DEBUG" || !s.worker.AllowBatches {
			t.Errorf("%v %v %v", s.problems, s.logLevel, s.worker.AllowBatches)
		}
	})
	t.Run("an empty list of queues is no list", func(t *testing.T) {
		if s := resolved(t, ":queues:\n", nil); queueList(s.worker.Capsules[0].Queues) !=
			queueList(defaultQueues) {
			t.Errorf("%+v", s.worker.Capsules)
		}
	})
}
