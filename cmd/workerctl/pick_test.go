package main

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue/inspect"
)

func TestPick(t *testing.T) {
	list := []inspect.Process{
		{Identity: "web1:1:a", Hostname: "web1", Tag: "mastodon"},
		{Identity: "web1:2:b", Hostname: "web1", Tag: "both"},
		{Identity: "both:3:c", Hostname: "both", Tag: "mastodon"},
		{Identity: "same:4:d", Hostname: "same", Tag: "same"},
		{Identity: "bare:5:e", Hostname: "bare"},
	}
	for words, want := range map[string]string{
		"web1:2:b":          "web1:2:b",
		"web1":              "web1:1:a, web1:2:b",
		"mastodon":          "web1:1:a, both:3:c",
		"web1 mastodon":     "web1:1:a, web1:2:b, both:3:c",
		"web1:1:a web1:1:a": "web1:1:a",
		"host:both":         "both:3:c",
		"tag:both":          "web1:2:b",
		"same":              "same:4:d",
		"both": "both is a host (both:3:c) and a tag (web1:2:b): write host:both or tag:" +
			"both",
		"web2": "not found: did you mean web1?",
		"host:mastodon": "not found: there are the hosts bare, both, same, web1 and " +
			"the tags both,",
		"tag:":               "not found",
		"zzzzz web1 yyyyyyy": "process zzzzz: not found",
	} {
		t.Run(words, func(t *testing.T) {
			chosen, err := pick(eachOnce(list), strings.Fields(words))
			got := identitiesOf(chosen)
			if err != nil {
				got = err.Error()
			}
			if got != want && (err == nil || !strings.Contains(got, want)) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	t.Run("names each word that selects none", func(t *testing.T) {
		_, err := pick(eachOnce(list), []string{"zzzzz", "web1", "yyyyyyy"})
		if err == nil || !strings.Contains(err.Error(), "yyyyyyy") {
			t.Error(err)
		}
	})
	t.Run("says that no process is alive", func(t *testing.T) {
		if _, err := pick(nil, []string{"web1"}); err == nil ||
			!strings.Contains(err.Error(), "no process is alive") {
			t.Error(err)
		}
	})
}
