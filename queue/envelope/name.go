package envelope

import "strings"

// ValidName reports whether s may name a queue or a class:
// [A-Za-z0-9_.:-]{1,128}. Anything else breaks a key, a page of the web UI or a
// metrics field.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("_.:-", c) >= 0:
		default:
			return false
		}
	}
	return true
}
