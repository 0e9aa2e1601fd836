package access

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"testing"
)

func TestCatalogue(t *testing.T) {
	t.Run("has every text in every language, with the same arguments", func(t *testing.T) {
		source, err := os.ReadFile("texts.go")
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`text = "([a-z-]+)"`).FindAllSubmatch(source, -1)
		verbs := regexp.MustCompile(`%[a-z]`)
		for _, language := range languages {
			texts := catalogue[language]
			if len(texts) != len(names) {
				t.Errorf("%s has %d texts of %d", language, len(texts), len(names))
			}
			for _, m := range names {
				name := text(m[1])
				want := verbs.FindAllString(catalogue[languages[0]][name], -1)
				if got := verbs.FindAllString(texts[name], -1); texts[name] == "" ||
					!slices.Equal(got, want) {
					t.Errorf("%s: %s is %q with %v, want %v", language, name, texts[name],
						got, want)
				}
			}
		}
	})
	t.Run("names the same flags and headers in every language", func(t *testing.T) {
		word := regexp.MustCompile(`--[a-z-]+|X-[A-Za-z-]+|Sec-Fetch-Site|nginx: [a-z_ A-Z$]+`)
		for name, en := range catalogue["en"] {
			ja := catalogue["ja"][name]
			a, b := word.FindAllString(en, -1), word.FindAllString(ja, -1)
			slices.Sort(a)
			slices.Sort(b)
			if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
				t.Errorf("%s: en has %v, ja has %v", name, a, b)
			}
		}
	})
}

func TestLanguageOf(t *testing.T) {
	for accept, want := range map[string]string{"": "en", "ja": "ja", "ja-JP,en;q=0.5": "ja",
		"en-GB, ja;q=0.9": "en", "de, ja;q=0.4, en;q=0.3": "ja", "fr": "en", "ja;q=0": "en",
		"en;q=0.1,JA;q=0.2": "ja", "ja;q=x": "en", ";;,": "en", "en,ja": "en"} {
		t.Run(accept, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Accept-Language", accept)
			if got := languageOf(r); got != want {
				t.Errorf("it is %s, want %s", got, want)
			}
		})
	}
}
