package dashboard

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// segment makes a segment of a path of any name: of a queue, a class, a process, a job. Proxies
// decode %2F, join slashes, and resolve . and .., also as %2E; browsers resolve them too. So these
// signs are written as ~ and two digits, and an empty name as ~.
func segment(name string) string {
	if name == "" {
		return "~"
	}
	dots := strings.Trim(name, ".") == ""
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case strings.IndexByte(`/\%?#;~`, c) >= 0, c < ' ', c == 0x7f, c == '.' && dots:
			b.WriteByte('~')
			b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
		default:
			b.WriteByte(c)
		}
	}
	return url.PathEscape(b.String())
}

var escaped = regexp.MustCompile(`~[0-9A-Fa-f]{2}`)

// nameOf is the name of a segment that is already decoded once, as http.Request.PathValue is. A ~
// without two digits, which somebody has typed, stands for itself.
func nameOf(segment string) string {
	if segment == "~" {
		return ""
	}
	return escaped.ReplaceAllStringFunc(segment, func(s string) string {
		b, err := hex.DecodeString(s[1:])
		if err != nil {
			return s
		}
		return string(b)
	})
}

var wildcards = regexp.MustCompile(`\{([a-z]+)\}`)

// named sets the path values of a request to the names that they stand for.
func named(r *http.Request, pattern string) {
	for _, m := range wildcards.FindAllStringSubmatch(pattern, -1) {
		r.SetPathValue(m[1], nameOf(r.PathValue(m[1])))
	}
}
