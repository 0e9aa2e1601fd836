package dashboard_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/queue"
	"golang.org/x/net/html"
)

// verbs are the places of a text for arguments.
var verbs = regexp.MustCompile(`%(\[\d\])?[sd]`)

func TestCatalogue(t *testing.T) {
	en, ja := dashboard.Texts()["en"], dashboard.Texts()["ja"]
	t.Run("each language has all keys, with the same arguments", func(t *testing.T) {
		for key, text := range en {
			other, known := ja[key]
			if !known || other == "" || text == "" {
				t.Errorf("%s: a text is missing", key)
			}
			a, b := verbs.FindAllString(text, -1), verbs.FindAllString(other, -1)
			if !strings.Contains(other, "%[") && !slices.Equal(a, b) || len(a) != len(b) {
				t.Errorf("%s: %q and %q", key, text, other)
			}
		}
		same(t, "keys of ja", len(ja), len(en))
	})
	used := usedKeys(t)
	t.Run("pages and code use only keys that there are", func(t *testing.T) {
		for key := range used {
			if _, known := en[key]; !known && !strings.HasSuffix(key, ".") {
				t.Errorf("there is no text %s", key)
			}
		}
	})
	t.Run("all texts are used", func(t *testing.T) {
		for key := range en {
			first, _, _ := strings.Cut(key, ".")
			if !used[key] && !used[first+"."] {
				t.Errorf("nothing uses %s", key)
			}
		}
	})
	t.Run("each verb and state of operations has a text", func(t *testing.T) {
		for _, v := range []queue.Verb{queue.VerbDelete, queue.VerbForget, queue.VerbKill,
			queue.VerbRetry, queue.VerbRequeue, queue.VerbMove} {
			if en["operation."+string(v)] == "" || en["verb."+string(v)] == "" {
				t.Errorf("%s has no text", v)
			}
		}
		for _, s := range []string{queue.StateRunning, queue.StateInterrupted,
			queue.StateCancelled, queue.StateFailed, queue.StateDone} {
			if en["operation_state."+s] == "" {
				t.Errorf("%s has no text", s)
			}
		}
	})
}

// keyForms find the keys in pages and code: t "key", print "prefix.", q.t("key"), say(lang, "key").
var keyForms = regexp.MustCompile(`(?:\bt "|print "|\.t\("|say\(lang, "|, "|return ")` +
	`([a-z_]+\.[a-z_]*)"`)

// usedKeys are the keys of the pages and the code. One that ends with a dot is a prefix.
func usedKeys(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"when.": true, "read_only": true}
	for _, name := range append(files, pages...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range keyForms.FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`\bt "([a-z_]+)"`).FindAllStringSubmatch(
			string(b), -1) {
			used[m[1]] = true
		}
	}
	return used
}

// bare are the words of pages that are the same in all languages.
var bare = []string{"Kyu", "·", "PID", "/", "KiB", "µs", "→", "…", ":",
	"class:Feed::*", "host:example.com", "age>2h", "retry>3", "-tag:slow"}

var action = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

func TestPageFiles(t *testing.T) {
	names, err := filepath.Glob("pages/*.html")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		t.Run(name+" has no text outside of the catalogue", func(t *testing.T) {
			b, err := dashboard.PageFiles.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tokens := html.NewTokenizer(strings.NewReader(action.ReplaceAllString(string(b), "")))
			for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
				text := strings.TrimSpace(string(tokens.Text()))
				if kind != html.TextToken || text == "" {
					continue
				}
				for word := range strings.FieldsSeq(html.UnescapeString(text)) {
					if !slices.Contains(bare, word) {
						t.Errorf("%q", word)
					}
				}
			}
		})
	}
}

func TestLanguage(t *testing.T) {
	f := newFixture(t)
	is := func(want string, r *http.Request) {
		t.Helper()
		same(t, "language", f.do(r).Header.Get("Content-Language"), want)
	}
	t.Run("is the browser's", func(t *testing.T) {
		for header, want := range map[string]string{"": "en", "ja": "ja", "ja-JP,en;q=0.5": "ja",
			"de,ja;q=0.8": "ja", "fr": "en", "en-GB,ja;q=0.9": "en"} {
			r := f.request("GET", "/")
			r.Header.Set("Accept-Language", header)
			is(want, r)
		}
	})
	t.Run("can be chosen at any page, which stays the same", func(t *testing.T) {
		answer := f.send("GET", "/retries?filter=Job&lang=ja&page=2", nil)
		same(t, "Location", answer.Header.Get("Location"), "/retries?filter=Job&page=2")
		r := f.request("GET", "/")
		r.AddCookie(answer.Cookies()[0])
		is("ja", r)
	})
	t.Run("tells times", func(t *testing.T) {
		f.lang = "ja"
		f.put("retry", "r", 1, time.Now().Add(3*time.Hour+time.Minute))
		f.has(f.get("/retries", 200), "3時間後")
	})
}
