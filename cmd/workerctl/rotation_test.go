package main

import (
	"os"
	"path/filepath"
	"reflect"
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
	t.Run("takes the four queues of a worker, or --queues", func(t *testing.T) {
		root := t.TempDir()
		s.of(t).ok("worker@rotated-1 worker@rotated-2 worker@rotated-3 worker@rotated-4 "+
			"worker@rotated-5 worker@rotated-6\n", "install-units --root "+root+" --rotate 6x5")
		for file, want := range map[string]string{
			"rotated-4": "-c 5 -q pull -q default -q push -q mailers",
			"rotated-5": "-c 5 -q default -q push -q mailers -q pull",
			"rotated-6": "-c 5 -q push -q mailers -q pull -q default"} {
			b, _ := os.ReadFile(filepath.Join(root, "etc/kyu", file+".env"))
			if !strings.Contains(string(b), "\nWORKER_ARGS="+want+"\n") {
				t.Errorf("%s: %q, want %s", file, b, want)
			}
		}
		s.of(t).ok("warning: no process takes c first: a full queue before them stops them; "+
			"--rotate 3x9 has", "install-units --root "+t.TempDir()+" --rotate 2x9 --queues a,b,c")
	})
	t.Run("is the same with the older flags", func(t *testing.T) {
		r, err := parseRotation("4x5", "")
		older, err2 := parseRotated("default,push,mailers,pull", 5)
		if err != nil || err2 != nil || !reflect.DeepEqual(r, older) {
			t.Errorf("%+v %v, %+v %v", r, err, older, err2)
		}
	})
}

func TestRotationOf(t *testing.T) {
	s := withoutRedis(t)
	t.Run("divides the threads of a plan", func(t *testing.T) {
		s.of(t).ok("Rotated: 4 processes with 8 threads each, 32 in all", "plan --rotate 4")
		s.of(t).ok("install-units --rotate 4x8\n", "plan --rotate 4 --units")
		s.of(t).ok("install-units --rotate 5x8 --queues default,push,mailers,pull,more\n",
			"plan --rotate 5 --units --rate more=1")
		s.of(t).fails(2, `--rotate "--units": want 2 to 100 processes, such as --rotate 4`,
			"plan --rotate --units")
	})
}

func TestRotationMistakes(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	for flags, want := range map[string]string{"--rotated push": "at least two queues",
		"--rotated push,push": "each once", "--rotated a/,": "each once",
		"--rotated a,b --threads 0":  "want at least 1",
		"--rotated a,b --split a=1":  "or --rotated",
		"--rotate 4":                 "want PROCESSESxTHREADS, such as 4x5",
		"--rotate 4x0":               "want PROCESSESxTHREADS, such as 4x5",
		"--rotate 1x5":               "for one process of all queues: systemctl enable",
		"--rotate 999x5":             "want 2 to 100 processes",
		"--rotate 4x70000":           "worker@rotated-4 would not start",
		"--rotate 4x5 --queues push": "for one queue: --split push=5",
		"--rotate x --queues a,a":    "each once",
		"--rotate 4x5 --threads 9":   "--threads goes with --rotated",
		"--split a=1 --queues a,b":   "--queues goes with --rotate 4x5",
		"--rotate 4x5 --rotated a,b": "want --split",
		"--rotate 4x5 --user root":   "that is not root",
	} {
		t.Run("refuses "+flags, func(t *testing.T) {
			s.of(t).fails(2, want, "install-units --root "+root+" "+flags)
		})
	}
}
