package jobs

import (
	"net/http"
	"slices"
	"strings"
)

const (
	activityJSON    = "application/activity+json"
	linkedJSON      = "application/ld+json"
	activityStreams = "https://www.w3.org/ns/activitystreams"
)

// mediaType is the content type of an answer. Servers write it with mistakes that
// mime.ParseMediaType refuses: empty parameters, parameters without a name or without
// quotes, two types with a comma between them. The first type counts.
type mediaType struct {
	name   string // in lower case, such as text/html; empty if there is none
	params map[string]string
}

func mediaTypeOf(header http.Header) mediaType { return readMediaType(header.Get("Content-Type")) }

func readMediaType(text string) mediaType {
	first, _ := cutUnquoted(text, ',')
	name, rest := cutUnquoted(first, ';')
	return mediaType{strings.ToLower(strings.TrimSpace(name)), parameters(rest)}
}

// parameters reads the parameters of a header, which semicolons separate. The first of two
// with one name counts.
func parameters(text string) map[string]string {
	all := map[string]string{}
	for text != "" {
		var part string
		part, text = cutUnquoted(text, ';')
		key, value, _ := strings.Cut(part, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if _, double := all[key]; !double {
			all[key] = strings.Trim(strings.ReplaceAll(value, `\"`, `"`), ` "'`)
		}
	}
	return all
}

// cutUnquoted cuts a text at the first separator that is not between double quotes.
func cutUnquoted(text string, separator byte) (before, after string) {
	quoted := false
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == separator && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func (m mediaType) isHTML() bool {
	return m.name == "text/html" || m.name == "application/xhtml+xml"
}

func (m mediaType) isActivity() bool {
	return m.name == activityJSON || m.name == linkedJSON &&
		slices.Contains(strings.Fields(m.params["profile"]), activityStreams)
}
