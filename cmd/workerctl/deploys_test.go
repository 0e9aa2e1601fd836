package main

import (
	"testing"
	"time"
)

func TestDeploys(t *testing.T) {
	s := withRedis(t)
	t.Run("marks a deploy once a minute", func(t *testing.T) {
		s.of(t).ok("marked: v1 of the day", "deploy v1 of the day")
		s.of(t).ok("marked already", "deploy v1 of the day")
	})
	t.Run("takes the label from git", func(t *testing.T) { s.of(t).ok("marked: ", "deploy") })
	t.Run("asks for a label outside of git", func(t *testing.T) {
		t.Chdir(t.TempDir())
		t.Setenv("GIT_CEILING_DIRECTORIES", "/")
		s.of(t).fails(1, "give one, such as `workerctl deploy v1.2`", "deploy")
	})
	t.Run("lists as many marks as are asked for", func(t *testing.T) {
		before := time.Now().UTC().AddDate(0, 0, -1)
		s.raw.HSet(t.Context(), before.Format("20060102")+"-marks",
			before.Truncate(time.Minute).Format(time.RFC3339), "v0")
		s.of(t).ok("\n1 to 1 of 2\n", "deploys --limit 1")
	})
	t.Run("lists the marks", func(t *testing.T) {
		s.of(t).ok("v1 of the day", "deploys")
		s.of(t).ok(`"label": "v1 of the day"`, "deploys --days 1 --json")
	})
}
