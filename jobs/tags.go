package jobs

import (
	"bytes"

	"golang.org/x/net/html"
)

// inTags returns the first text that value finds in the attributes of a tag of that name, however
// far behind the beginning of the page the tag is. value returns "" to go on.
func inTags(page []byte, name string, value func(attributes map[string]string) string) string {
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken, html.SelfClosingTagToken:
			if t := z.Token(); t.Data == name {
				if text := value(attributes(t)); text != "" {
					return text
				}
			}
		}
	}
}

func attributes(t html.Token) map[string]string {
	all := make(map[string]string, len(t.Attr))
	for _, a := range t.Attr {
		all[a.Key] = a.Val
	}
	return all
}
