package jobs

import "testing"

func TestMediaType(t *testing.T) {
	for _, c := range []struct{ text, name, charset string }{
		{"text/html", "text/html", ""},
		{"Text/HTML; Charset=UTF-8", "text/html", "UTF-8"},
		{"text/html; charset=", "text/html", ""},
		{"text/html;;charset=utf-8", "text/html", "utf-8"},
		{"text/html;utf-8", "text/html", ""},
		{"text/html; charset=\"utf-8\"", "text/html", "utf-8"},
		{"text/html; charset='utf-8'", "text/html", "utf-8"},
		{"text/html ; charset = sjis ", "text/html", "sjis"},
		{"text/html; charset=utf-8; charset=sjis", "text/html", "utf-8"},
		{"text/html; charset=utf-8, text/html", "text/html", "utf-8"},
		{"text/html, application/json", "text/html", ""},
		{"text/plain, text/html", "text/plain", ""},
		{`text/html; x="a;b,c"; charset=utf-8`, "text/html", "utf-8"},
		{`text/html; x="`, "text/html", ""},
		{";charset=utf-8", "", "utf-8"},
		{"", "", ""},
	} {
		t.Run(c.text, func(t *testing.T) {
			m := readMediaType(c.text)
			if m.name != c.name || m.params["charset"] != c.charset {
				t.Errorf("%q with the charset %q", m.name, m.params["charset"])
			}
		})
	}
	const profile = "https://www.w3.org/ns/activitystreams"
	for text, want := range map[string]bool{"application/activity+json": true,
		"application/activity+json, application/json":                 true,
		"application/activity+json;; charset=utf-8":                   true,
		`application/ld+json; profile="` + profile + `"`:              true,
		"application/ld+json; profile=" + profile:                     true,
		`application/ld+json; profile="http://x/ ` + profile + `"`:    true,
		"application/ld+json":                                         false,
		"application/ld+json; profile=" + profile + "x":               false,
		"application/json":                                            false,
		"text/html; profile=" + profile:                               false,
		`text/plain; x="application/activity+json"`:                   false,
		"text/plain, application/activity+json":                       false,
		"application/activity+jsonx":                                  false,
		`application/ld+json; x="profile=` + profile + `"; y="` + `"`: false,
	} {
		t.Run(text, func(t *testing.T) {
			if got := readMediaType(text).isActivity(); got != want {
				t.Errorf("it is an activity: %v, want %v", got, want)
			}
		})
	}
}
