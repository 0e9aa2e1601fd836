package main

import (
	"slices"
	"strings"
	"testing"
)

func TestRoute(t *testing.T) {
	for line, want := range map[string]string{
		"stats --days 2":                 "stats --days 2",
		"--days 2 stats":                 "stats --days 2",
		"--yes retries --all delete":     "retries delete --yes --all",
		"retries --page 2 list":          "retries list --page 2",
		"queue default":                  "queue NAME default",
		"queue delete":                   "queue NAME delete",
		"queue --page 2 default":         "queue NAME --page 2 default",
		"queue default delete x":         "queue NAME delete default x",
		"queue delete delete delete":     "queue NAME delete delete delete",
		"held A --all release":           "held CLASS release A --all",
		"push stats list":                "push stats list",
		"push A -- -1":                   "push A -- -1",
		"retries -- delete x":            "retries delete -- x",
		"plan --since=2h --live extra":   "plan --since=2h --live extra",
		"frobnicate stats":               "frobnicate stats",
		"retries explode delete":         "retries explode delete",
		"help queue delete":              "help queue delete",
		"--nope stats --days 3 -h -x --": "stats --nope --days 3 -h -x --",
	} {
		t.Run(line, func(t *testing.T) {
			_, got := route(tree(), strings.Fields(line))
			if !slices.Equal(got, strings.Fields(want)) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
