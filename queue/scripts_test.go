package queue_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
)

func TestScripts(t *testing.T) {
	t.Run("are sent again after SCRIPT FLUSH", func(t *testing.T) {
		f := newFixture(t)
		for range 3 {
			f.raw.ScriptFlush(t.Context())
			f.push("a", 1)
			f.settle(f.fetch(1)[0], queue.Done, "")
		}
		f.at("")
	})
	files, _ := filepath.Glob("lua/*.lua")
	if len(files) == 0 {
		t.Fatal("no scripts")
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(path+" has a complete header", func(t *testing.T) {
			for _, part := range []string{"-- KEYS ", "-- ARGV ", "-- Result ", "-- Atomic ",
				"#!lua"} {
				if !strings.Contains(string(b), part) {
					t.Errorf("no %q", part)
				}
			}
		})
		t.Run(path+" does not read payloads", func(t *testing.T) {
			if call := regexp.MustCompile(`cjson|cmsgpack|loadstring`).Find(b); call != nil {
				t.Errorf("it calls %s", call)
			}
		})
	}
}
