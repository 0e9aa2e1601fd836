package dashboard

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/kyujobs/kyu/queue/envelope"
)

// DefaultRedact are the words of Options.Redact if it is nil.
var DefaultRedact = []string{"password", "passwd", "passphrase", "secret", "token", "api_key",
	"apikey", "access_key", "private_key", "authorization", "cookie", "credential", "otp", "cvv",
	"card_number"}

// hiddenText stands for a hidden value, as JSON.
const hiddenText = `"[hidden]"`

// redactor hides values of jobs by the names of their keys. A nil redactor hides nothing.
type redactor struct {
	names [][]string // the words of each name
}

// newRedactor makes a redactor of names. A name hides the keys that have its words one after the
// other: token hides access_token and userToken, api_key hides apiKey.
func newRedactor(names []string) *redactor {
	x := &redactor{}
	for _, name := range names {
		if w := wordsOf(name); len(w) > 0 {
			x.names = append(x.names, w)
		}
	}
	return x
}

// CheckRedact says what is wrong with Options.Redact.
func CheckRedact(names []string) error {
	for _, name := range names {
		if len(wordsOf(name)) == 0 {
			return fmt.Errorf("redact %q: want a word, such as token", name)
		}
	}
	return nil
}

// hides reports whether a text has the words of a name. The last may be in the plural.
func (x *redactor) hides(text string) bool {
	all := wordsOf(text)
	for _, name := range x.names {
		for i := 0; i+len(name) <= len(all); i++ {
			last := len(name) - 1
			if slices.Equal(all[i:i+last], name[:last]) &&
				(all[i+last] == name[last] || all[i+last] == name[last]+"s") {
				return true
			}
		}
	}
	return false
}

// wordsOf splits a name at signs and at capitals, into small letters: userAPIKey is user, api, key.
func wordsOf(name string) (list []string) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			list, word = append(list, strings.ToLower(string(word))), nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			end()
			continue
		}
		if unicode.IsUpper(r) && len(word) > 0 && (!unicode.IsUpper(word[len(word)-1]) ||
			i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			end()
		}
		word = append(word, r)
	}
	end()
	return list
}

// json returns a JSON value without the values of hidden keys, also of those in strings that are
// JSON themselves. All other bytes stay. Of bytes that are no JSON it returns a note, if they have
// the words of a name.
func (x *redactor) json(text string) string {
	if x == nil || text == "" {
		return text
	}
	spans, ok := x.spans(text)
	if !ok {
		if !x.hides(text) {
			return text
		}
		return fmt.Sprintf("[hidden: %d bytes that are not JSON]", len(text))
	}
	var b strings.Builder
	from := 0
	for _, s := range spans {
		b.WriteString(text[from:s.start])
		b.WriteString(s.instead)
		from = s.end
	}
	b.WriteString(text[from:])
	return b.String()
}

// redaction is a part of a text, and what is shown instead.
type redaction struct {
	start, end int
	instead    string
}

// spans finds what is to be hidden. ok is false if the text is no JSON.
func (x *redactor) spans(text string) (list []redaction, ok bool) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	type level struct{ object, key bool } // key: the next token is one
	var levels []level
	for {
		token, err := d.Token()
		if err != nil {
			return list, len(levels) == 0 && d.InputOffset() > 0 && json.Valid([]byte(text))
		}
		top := len(levels) - 1
		switch t := token.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				levels = append(levels, level{t == '{', t == '{'})
				continue
			}
			levels = levels[:top]
			top--
		case string:
			if top >= 0 && levels[top].key {
				levels[top].key = false
				if x.hides(t) {
					var value json.RawMessage
					if d.Decode(&value) != nil {
						return nil, false
					}
					end := int(d.InputOffset())
					list = append(list, redaction{end - len(value), end, hiddenText})
					levels[top].key = true
				}
				continue
			}
			if s, inside := x.inside(t); inside {
				end := int(d.InputOffset())
				list = append(list, redaction{stringStart(text, end), end, s})
			}
		}
		if top >= 0 {
			levels[top].key = levels[top].object
		}
	}
}

// inside hides values of a string that is JSON itself, and reports whether it has hidden any.
func (x *redactor) inside(s string) (quoted string, hidden bool) {
	if head := strings.TrimSpace(s); !strings.HasPrefix(head, "{") &&
		!strings.HasPrefix(head, "[") {
		return "", false
	}
	spans, ok := x.spans(s)
	if !ok || len(spans) == 0 {
		return "", false
	}
	return string(envelope.AppendString(nil, x.json(s))), true
}

// stringStart returns where a JSON string begins that ends before end.
func stringStart(text string, end int) int {
	for i := end - 2; i >= 0; i-- {
		if text[i] != '"' {
			continue
		}
		slashes := 0
		for slashes < i && text[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
	return 0
}

// value returns the JSON of a field of a payload.
func (x *redactor) value(name, value string) string {
	if x != nil && x.hides(name) {
		return hiddenText
	}
	return x.json(value)
}
