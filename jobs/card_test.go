package jobs

import (
	"net/url"
	"strings"
	"testing"
)

func TestCard(t *testing.T) {
	base := &url.URL{Scheme: "https", Host: "a.test", Path: "/x/"}
	long := strings.Repeat("日", 600)
	for _, c := range []struct {
		name, page string
		want       card
	}{
		{"of a tag with a name and a property",
			`<title>t</title><meta name="description" property="og:description" content="d">`,
			card{"t", "d", ""}},
		{"of a property before a name",
			`<meta property="og:title" name="twitter:title" content="t">`, card{"t", "", ""}},
		{"of a name behind a property of no use",
			`<title>t</title><meta property="x:y" name="description" content="d">`,
			card{"t", "d", ""}},
		{"of a property with two names", `<meta property="og:title x:title" content="t">`,
			card{"t", "", ""}},
		{"of tags in the body", `<head><title>no</title></head><body><p>x</p>` +
			`<meta property="og:title" content="t"><meta name="description" content="d">`,
			card{"t", "d", ""}},
		{"whose first tag counts", `<meta property="og:title" content="t"><body>` +
			`<meta property="og:title" content="u">`, card{"t", "", ""}},
		{"of a title in the body", `<body><p>x</p><title>t</title>`, card{"t", "", ""}},
		{"whose title is not that of a drawing",
			`<body><svg><title>Icon</title><g/></svg><title>t</title>`, card{"t", "", ""}},
		{"of entities that are encoded twice",
			`<title>A &amp;amp; B &amp;#39;C&amp;#x27; &amp;eacute;</title>`,
			card{"A & B 'C' é", "", ""}},
		{"of a text that looks like an entity", `<title>a &amp;copy b &amp;</title>`,
			card{"a &copy b &", "", ""}},
		{"of an image whose URL is encoded twice", `<title>t</title>` +
			`<meta property="og:image" content="/i?a=1&amp;amp;copy=2&amp;reg=3">`,
			card{"t", "", "https://a.test/i?a=1&copy=2&reg=3"}},
		{"of an image with a space", `<title>t</title><meta property="og:image" content="a b.png">`,
			card{"t", "", "https://a.test/x/a%20b.png"}},
		{"without an image that is no URL of http", `<title>t</title>` +
			`<meta property="og:image" content="data:image/png;base64,AA">`, card{"t", "", ""}},
		{"of a title that is too long", "<title>" + long + "</title>",
			card{long[:3*499] + "…", "", ""}},
		{"without a text in a script", `<script>"<title>no</title>"</script><title>t</title>`,
			card{"t", "", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := parseCard(strings.NewReader(c.page), base)
			if got == nil || *got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
	t.Run("is not made without a title", func(t *testing.T) {
		if got := parseCard(strings.NewReader("<p>x<svg><title>Icon</title></svg>"),
			base); got != nil {
			t.Errorf("%+v", got)
		}
	})
}
