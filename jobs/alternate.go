package jobs

import (
	"net/url"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/internal/guard"
)

// alternate returns the URL of the ActivityStreams object to which an HTML page links in its
// header Link or in a link tag. It returns nil if there is none, or if the answer is no page.
func alternate(got *answer) *url.URL {
	if !mediaTypeOf(got.header).isHTML() {
		return nil
	}
	text := alternateInHeader(got.header.Values("Link"))
	if text == "" {
		text = alternateInPage(got.body)
	}
	if text == "" {
		return nil
	}
	u, err := guard.ResolveURL(got.url, text)
	if err != nil {
		return nil
	}
	return u
}

// alternateInHeader reads headers such as <URL>; rel="alternate"; type="…", <URL>; rel=next
// (RFC 8288).
func alternateInHeader(values []string) string {
	for _, rest := range values {
		for rest != "" {
			var target, params string
			_, rest, _ = strings.Cut(rest, "<")
			target, rest, _ = strings.Cut(rest, ">")
			params, rest = cutUnquoted(rest, ',')
			if isAlternate(parameters(strings.TrimLeft(params, " ;"))) {
				return target
			}
		}
	}
	return ""
}

// alternateInPage reads the link tags of a page.
func alternateInPage(page []byte) string {
	return inTags(page, "link", func(a map[string]string) string {
		if isAlternate(a) {
			return a["href"]
		}
		return ""
	})
}

// isAlternate reports whether the parameters or attributes of a link say that it leads to
// an ActivityStreams object for this page.
func isAlternate(a map[string]string) bool {
	return slices.Contains(strings.Fields(strings.ToLower(a["rel"])), "alternate") &&
		readMediaType(a["type"]).isActivity()
}
