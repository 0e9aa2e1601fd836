package redisdb

import "strings"

// GlobEscape makes text match itself where Redis takes a pattern. A * stays a wildcard.
func GlobEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `?`, `\?`).Replace(text)
}
