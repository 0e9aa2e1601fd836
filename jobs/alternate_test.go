package jobs

import (
	"net/http"
	"net/url"
	"testing"
)

func TestAlternate(t *testing.T) {
	const activity = `type="application/activity+json"`
	const profile = `application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"`
	for _, c := range []struct{ name, link, page, want string }{
		{"in the header", `</a>; rel="alternate"; ` + activity, "", "/a"},
		{"in a header without quotes", `</a>;rel=alternate;type=` + activityJSON, "", "/a"},
		{"with another type", `</a>; rel=alternate; type="` + profile + `"`, "", "/a"},
		{"behind other links", `</rss,x>; rel="alternate"; type="application/rss+xml", </n>; ` +
			`rel="next", </a>; rel="alternate"; ` + activity, "", "/a"},
		{"with two relations", `</a>; rel="self Alternate"; ` + activity, "", "/a"},
		{"with a comma in the URL", `</a,b;c>; rel="alternate"; ` + activity, "", "/a,b;c"},
		{"in the page", "", `<link rel=alternate type=application/rss+xml href=/rss>` +
			`<link href="/a b" rel="alternate" type='application/activity+json'>`, "/a%20b"},
		{"in the header before the page", `</a>; rel=alternate; type=application/activity+json`,
			`<link rel=alternate type=application/activity+json href=/b>`, "/a"},
		{"of another relation", `</a>; rel="next"; type="application/activity+json"`,
			`<link rel=stylesheet type=application/activity+json href=/b>`, ""},
		{"of another scheme", "", `<link rel=alternate type=application/activity+json ` +
			`href="file:///etc/passwd">`, ""},
		{"that is malformed", `</a; rel="alternate`, "<link", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := alternate(&answer{url: &url.URL{Scheme: "https", Host: "x.test", Path: "/p"},
				header: http.Header{"Content-Type": {"text/html"}, "Link": {c.link}},
				body:   []byte(c.page)})
			if (got == nil) != (c.want == "") || got != nil && got.RequestURI() != c.want {
				t.Errorf("%v, want %q", got, c.want)
			}
		})
	}
	t.Run("of an answer that is no page does not count", func(t *testing.T) {
		if got := alternate(&answer{url: &url.URL{}, header: http.Header{
			"Content-Type": {"application/json"},
			"Link":         {`</a>; rel=alternate; type=application/activity+json`}}}); got != nil {
			t.Error(got)
		}
	})
}
