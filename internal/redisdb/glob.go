package redisdb

import "strings"

// GlobEscape returns a pattern that matches text in Redis. Only a * in text stays a wildcard.
func GlobEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `?`, `\?`).Replace(text)
}
