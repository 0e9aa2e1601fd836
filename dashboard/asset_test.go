package dashboard_test

import (
	"crypto/sha512"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/live"
)

func TestAssets(t *testing.T) {
	f := newFixture(t)
	t.Run("modules find the modules that they import", func(t *testing.T) {
		f := f.sub(t)
		met := map[string]bool{}
		var visit func(name string)
		visit = func(name string) {
			if met[name] {
				return
			}
			met[name] = true
			text := f.get("/assets/"+name, 200)
			for _, m := range regexp.MustCompile(`(?m)^import .* from "\./(.*)"`).
				FindAllStringSubmatch(text, -1) {
				visit(m[1])
			}
		}
		for _, m := range regexp.MustCompile(`type="module" src="/assets/(.*?)"`).
			FindAllStringSubmatch(f.get("/metrics", 200), -1) {
			visit(m[1])
		}
		own, err := filepath.Glob("assets/*.js")
		f.must(err)
		same(t, "modules", len(met), len(own)+1) // live.js
	})
	t.Run("own modules are small, and make no HTML of texts", func(t *testing.T) {
		names, err := filepath.Glob("assets/*.js")
		f.sub(t).must(err)
		all := live.Script
		for _, name := range names {
			b, err := os.ReadFile(name)
			f.sub(t).must(err)
			all += string(b)
		}
		if len(all) > 20<<10 {
			t.Errorf("%d bytes, more than 20 KB", len(all))
		}
		f.sub(t).lacks(all, "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
			"DOMParser", "eval(", "Function(", "createPolicy")
	})
}

// hashLine is a row of the table of assets/vendor/README.md: a file and its SHA-512.
var hashLine = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([A-Za-z0-9+/=]{88})` \\|$")

func TestVendor(t *testing.T) {
	readme, err := os.ReadFile("assets/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, m := range hashLine.FindAllStringSubmatch(string(readme), -1) {
		listed[m[1]] = m[2]
	}
	files, err := os.ReadDir("assets/vendor")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "files with the README", len(files), len(listed)+1)
	for _, file := range files {
		if file.Name() == "README.md" {
			continue
		}
		t.Run(file.Name()+" is what was published", func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("assets/vendor", file.Name()))
			if err != nil {
				t.Fatal(err)
			}
			sum := sha512.Sum512(b)
			same(t, "SHA-512", base64.StdEncoding.EncodeToString(sum[:]), listed[file.Name()])
		})
	}
}

func TestKeyboard(t *testing.T) {
	t.Run("no two pages and acts have one key", func(t *testing.T) {
		met := map[string]string{}
		for page, key := range dashboard.PageKeys {
			if met[key] != "" || len(key) != 1 {
				t.Errorf("%s and %s have %q", page, met[key], key)
			}
			met[key] = page
		}
	})
	t.Run("pages and the help name the keys", func(t *testing.T) {
		f := newFixture(t)
		page := f.get("/retries", 200)
		for _, text := range []string{`href="/queues" data-key="q"`, `<kbd>g</kbd> <kbd>q</kbd>`,
			`<kbd>/</kbd>`, `<kbd>?</kbd>`, `<kbd>j</kbd> <kbd>k</kbd>`, `<kbd>x</kbd>`} {
			if !strings.Contains(page, text) {
				t.Errorf("no %q in %s", text, page)
			}
		}
	})
	t.Run("the documentation names the keys of the pages", func(t *testing.T) {
		doc, err := os.ReadFile("../docs/dashboard-live.md")
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range dashboard.Navigation {
			if row := "| `g` `" + dashboard.PageKeys[page] + "` |"; !strings.Contains(string(doc),
				row) {
				t.Errorf("no %q", row)
			}
		}
	})
}
