package dashboard

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/text/language"
)

//go:embed locales
var localeFiles embed.FS

// languages are those of the catalogue. The first is for those who want another.
var languages = []string{"en", "ja"}

// texts are the texts of the catalogue, by language and key.
var texts = readTexts()

// tags has the languages as Accept-Language names them.
var tags = language.NewMatcher([]language.Tag{language.English, language.Japanese})

// readTexts reads the files of each language. All languages have files of the same names, and a key
// is in one of them.
func readTexts() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, lang := range languages {
		all[lang] = map[string]string{}
		files, err := fs.Glob(localeFiles, "locales/"+lang+"/*.json")
		if err != nil {
			panic(err)
		}
		for _, name := range files {
			b, err := localeFiles.ReadFile(name)
			if err != nil {
				panic(err) // the file is embedded
			}
			list := map[string]string{}
			if err := json.Unmarshal(b, &list); err != nil {
				panic(fmt.Errorf("%s: %w", name, err))
			}
			for key, text := range list {
				if _, known := all[lang][key]; known {
					panic(fmt.Errorf("%s: another file has %s too", name, key))
				}
				all[lang][key] = text
			}
		}
	}
	return all
}

// say is a text of the catalogue. A key that it does not have is its own text; a test finds it.
func say(lang, key string, args ...any) string {
	text, known := texts[lang][key]
	if !known {
		return key
	}
	if len(args) > 0 {
		return fmt.Sprintf(text, args...)
	}
	return text
}

const languageCookie = "kyu_lang"

// languageOf is the language that a person has chosen, or that the browser wants.
func languageOf(r *http.Request) string {
	if c, err := r.Cookie(languageCookie); err == nil && slices.Contains(languages, c.Value) {
		return c.Value
	}
	_, i := language.MatchStrings(tags, r.Header.Get("Accept-Language"))
	return languages[i]
}

// languages keeps the language that a person chooses: ?lang=ja at any page.
func (d *Dashboard) languages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		lang := query.Get("lang")
		if !slices.Contains(languages, lang) || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		setCookie(w, r, d.Base, languageCookie, lang, 365*24*time.Hour)
		query.Del("lang")
		to := *r.URL
		to.Scheme, to.Host, to.RawQuery = "", "", query.Encode()
		http.Redirect(w, r, to.RequestURI(), http.StatusSeeOther)
	})
}

// number is a whole number with a comma before every three digits.
func number(n any) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// age is a number of seconds in the largest unit that people use. It is empty over 1e9 seconds,
// which is the age of a job that does not say when it was pushed.
func age(lang string, seconds float64) string {
	switch {
	case seconds > 1e9:
		return ""
	case seconds < 10:
		return say(lang, "unit.s", strconv.FormatFloat(max(seconds, 0), 'f', 1, 64))
	case seconds < 120:
		return say(lang, "unit.s", strconv.Itoa(int(seconds)))
	case seconds < 2*60*60:
		return say(lang, "unit.m", int(seconds/60))
	case seconds < 48*60*60:
		return say(lang, "unit.h", int(seconds/60/60))
	}
	return say(lang, "unit.d", int(seconds/60/60/24))
}

// fromNow is a distance in time as people say it.
func fromNow(lang string, d time.Duration) string {
	distance := age(lang, min(d.Abs().Seconds(), 1e9))
	if d.Abs() < time.Minute {
		distance = say(lang, "unit.s", strconv.Itoa(int(d.Abs().Seconds())))
	}
	switch {
	case d.Abs() < time.Second:
		return say(lang, "time.now")
	case d > 0:
		return say(lang, "time.in", distance)
	}
	return say(lang, "time.ago", distance)
}
