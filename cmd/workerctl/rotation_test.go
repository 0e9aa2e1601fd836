package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRotation(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	t.Run("has a unit for each queue, with another queue first", func(t *testing.T) {
		s.of(t).ok("worker@rotated-1 worker@rotated-2 worker@rotated-3",
			"install-units --root "+root+" --rotated default,push,pull --threads 7")
		for file, want := range map[string]string{"rotated-1": "-c 7 -q default -q push -q pull",
			"rotated-2": "-c 7 -q push -q pull -q default",
			"rotated-3": "-c 7 -q pull -q default -q push"} {
			b, err := os.ReadFile(filepath.Join(root, "etc/kyu", file+".env"))
			if err != nil || !strings.Contains(string(b), "\nWORKER_ARGS="+want+"\nDB_POOL=7\n") {
				t.Errorf("%s: %q %v, want %s", file, b, err, want)
			}
		}
	})
	t.Run("divides the threads of a plan", func(t *testing.T) {
		s.of(t).ok("Rotated: 4 processes with 8 threads each, 32 in all", "plan --rotate")
		s.of(t).ok("install-units --rotated default,push,mailers,pull --threads 8",
			"plan --rotate --units")
	})
	for flags, want := range map[string]string{"--rotated push": "at least two queues",
		"--rotated push,push": "each once", "--rotated a/,": "each once",
		"--rotated a,b --threads 0": "want at least 1",
		"--rotated a,b --split a=1": "or --rotated"} {
		t.Run("refuses "+flags, func(t *testing.T) {
			s.of(t).fails(2, want, "install-units --root "+root+" "+flags)
		})
	}
}
