package jobs

import (
	"io"
	"net/url"
	"regexp"
	"strings"

	"github.com/kyujobs/kyu/internal/guard"
	"golang.org/x/net/html"
)

const (
	maxTitle = 500  // characters
	maxText  = 5000 // characters of a description
)

// card is the preview of a page.
type card struct{ title, description, image string } // image is a URL, or empty

// fields are the texts of a page from which its card is made, by the name of the meta tag;
// "title" is the text of the title tag. Of two fields with one name the first counts.
type fields map[string]string

func (f fields) set(name, text string) {
	if f[name] == "" {
		f[name] = clean(text)
	}
}

// first returns the first field that is not empty.
func (f fields) first(names ...string) string {
	for _, n := range names {
		if f[n] != "" {
			return f[n]
		}
	}
	return ""
}

// parseCard makes a card from a page's OpenGraph fields or, without them, from similar
// ones. It returns nil if the page has no title. The fields count wherever they are in the
// page: many pages have them in the body.
func parseCard(page io.Reader, base *url.URL) *card {
	found := fields{}
	z := html.NewTokenizer(page)
	drawings, inTitle := 0, false // the title of a drawing is not that of the page
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return found.card(base)
		case html.TextToken:
			if inTitle && drawings == 0 {
				found.set("title", string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			inTitle = token.Data == "title"
			switch {
			case token.Data == "meta":
				found.meta(token)
			case token.Data == "svg" && kind == html.StartTagToken:
				drawings++
			}
		case html.EndTagToken:
			inTitle = false
			if name, _ := z.TagName(); string(name) == "svg" && drawings > 0 {
				drawings--
			}
		}
	}
}

// meta adds the content of a meta tag. A tag may have both a name and a property.
func (f fields) meta(t html.Token) {
	a := attributes(t)
	for _, key := range []string{"property", "name"} {
		for _, name := range strings.Fields(strings.ToLower(a[key])) {
			f.set(name, a["content"])
		}
	}
}

func (f fields) card(base *url.URL) *card {
	c := &card{title: short(f.first("og:title", "twitter:title", "title"), maxTitle),
		description: short(f.first("og:description", "twitter:description", "description"),
			maxText)}
	if c.title == "" {
		return nil
	}
	if text := f.first("og:image:secure_url", "og:image", "og:image:url",
		"twitter:image"); text != "" {
		if image, err := guard.ResolveURL(base, text); err == nil {
			c.image = image.String()
		}
	}
	return c
}

// entity is a character reference that is complete. An incomplete one, such as &copy in
// ?a=1&copy=2, is part of a URL.
var entity = regexp.MustCompile(`&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);`)

// clean makes a text that Postgres can store and that fits into a line. The tokenizer has
// decoded the entities once; many pages encode them twice.
func clean(text string) string {
	text = entity.ReplaceAllStringFunc(text, html.UnescapeString)
	text = strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
	return strings.Join(strings.Fields(text), " ")
}

// short cuts a text to at most n characters.
func short(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
