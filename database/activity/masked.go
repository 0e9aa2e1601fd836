package activity

import (
	"regexp"
	"strings"
)

// literal is a text in SQL: with backslashes, plain, or between dollars. Postgres cuts long
// queries, so that the end may be missing.
var literal = regexp.MustCompile(`(?is)\be'(?:[^'\\]|''|\\.)*(?:'|$)|'(?:[^']|'')*(?:'|$)|` +
	`\$\$.*?(?:\$\$|$)`)

// longestQuery is the most characters of a query.
const longestQuery = 500

// masked is a query without the texts in it, which may be anybody's data.
func masked(query string) string {
	query = strings.Join(strings.Fields(literal.ReplaceAllString(query, "'…'")), " ")
	if runes := []rune(query); len(runes) > longestQuery {
		return string(runes[:longestQuery]) + "…"
	}
	return query
}
