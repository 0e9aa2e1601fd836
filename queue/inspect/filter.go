package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// Filter chooses jobs by what their payloads say. All its terms must hold:
//
//	class:Feed::*      the class, of an ActiveJob its own; * stands for any text
//	queue:push         the queue
//	jid:0a1b*          the job id
//	tag:slow           one of the tags
//	error:timeout      the class or the message of the last error contains the text
//	arg:42             an argument is 42, or a text that contains it
//	host:example.com   an argument is a URL of that host, or the name of the host
//	age>2h             it was created more than two hours ago; age<90s, age>3d
//	retry>3            it has been retried more than three times; retry<3, retry:0
//	text               the payload contains the text
//	-class:Feed::*     the term does not hold
//
// A value with spaces stands in double quotes. Large and small letters are the same.
type Filter struct {
	text   string
	terms  []term
	needle string // stands in each payload that is chosen, in small letters; "" if none is known
}

// term is one condition.
type term struct {
	not   bool
	key   string // "" for free text
	op    byte   // ':', '<' or '>'
	value string // in lower case
	match *regexp.Regexp
	n     float64 // of age: seconds; of retry: the count
}

// filterKeys are the keys of terms, and whether their values may have a *.
var filterKeys = map[string]bool{"class": true, "queue": true, "jid": true, "tag": true,
	"host": true, "error": false, "arg": false, "age": false, "retry": false}

// ParseFilter reads a filter. An empty text chooses all jobs. The error names each wrong term.
func ParseFilter(text string) (Filter, error) {
	words, err := splitWords(text)
	if err != nil {
		return Filter{}, err
	}
	f := Filter{text: strings.TrimSpace(text)}
	var problems []error
	for _, w := range words {
		t, err := parseTerm(w)
		if err != nil {
			problems = append(problems, err)
		}
		f.terms = append(f.terms, t)
	}
	f.needle = f.longest()
	return f, errors.Join(problems...)
}

// String returns the text of the filter.
func (f Filter) String() string { return f.text }

// Empty reports whether the filter chooses all jobs.
func (f Filter) Empty() bool { return len(f.terms) == 0 }

// word is a word of a filter. quoted says that it begins with a quote, so it is free text.
type word struct {
	text   string
	quoted bool
}

// splitWords splits a text at spaces that are not in double quotes.
func splitWords(text string) (words []word, err error) {
	var b strings.Builder
	inside, begun, quoted := false, false, false
	for _, r := range text {
		switch {
		case r == '"':
			quoted = quoted || !begun
			inside, begun = !inside, true
		case !inside && unicode.IsSpace(r):
			if begun {
				words = append(words, word{b.String(), quoted})
			}
			begun, quoted = false, false
			b.Reset()
		default:
			b.WriteRune(r)
			begun = true
		}
	}
	if inside {
		return nil, fmt.Errorf("filter %s: a quote is not closed", text)
	}
	if begun {
		words = append(words, word{b.String(), quoted})
	}
	return words, nil
}

var termForm = regexp.MustCompile(`(?s)^([a-z_]+)([:<>])(.*)$`)

// parseTerm reads a word.
func parseTerm(w word) (t term, err error) {
	text := w.text
	if rest, not := strings.CutPrefix(text, "-"); not && !w.quoted && rest != "" {
		t.not, text = true, rest
	}
	parts := termForm.FindStringSubmatch(strings.ToLower(text))
	if w.quoted || parts == nil || strings.HasPrefix(parts[3], ":") { // a class such as A::B
		t.value = strings.ToLower(text)
		return t, nil
	}
	t.key, t.op, t.value = parts[1], parts[2][0], parts[3]
	wild, known := filterKeys[t.key]
	switch {
	case !known:
		return t, fmt.Errorf("filter: %s: there is no %q; there are age, arg, class, error, host, "+
			"jid, queue, retry, tag; write \"%s\" in quotes to search for the text", w.text, t.key,
			w.text)
	case t.value == "":
		return t, fmt.Errorf("filter: %s: a value is missing", w.text)
	case t.key == "age":
		return t, t.readAge(w.text)
	case t.key == "retry":
		return t, t.readCount(w.text)
	case t.op != ':':
		return t, fmt.Errorf("filter: %s: want %s:VALUE", w.text, t.key)
	case wild:
		pattern := strings.ReplaceAll(regexp.QuoteMeta(t.value), `\*`, ".*")
		t.match = regexp.MustCompile("^(?s:" + pattern + ")$")
	}
	return t, nil
}

// readAge reads a duration with a unit, days included.
func (t *term) readAge(text string) error {
	number, days := strings.CutSuffix(t.value, "d")
	if days {
		n, err := strconv.ParseFloat(number, 64)
		if err == nil && n >= 0 && t.op != ':' {
			t.n = n * 24 * 60 * 60
			return nil
		}
	}
	d, err := time.ParseDuration(t.value)
	if err != nil || d < 0 || t.op == ':' {
		return fmt.Errorf("filter: %s: want age>2h or age<90s, with s, m, h or d", text)
	}
	t.n = d.Seconds()
	return nil
}

func (t *term) readCount(text string) error {
	n, err := strconv.Atoi(t.value)
	if err != nil || n < 0 {
		return fmt.Errorf("filter: %s: want retry>3, retry<3 or retry:3", text)
	}
	t.n = float64(n)
	return nil
}

// Match reports whether the filter chooses a job. j is nil for bytes that are no job, which only
// free text chooses.
func (f Filter) Match(raw string, j *queue.Job, now time.Time) bool {
	for i := range f.terms {
		t := &f.terms[i]
		if t.holds(raw, j, now) == t.not {
			return false
		}
	}
	return true
}

func (t *term) holds(raw string, j *queue.Job, now time.Time) bool {
	if t.key == "" {
		return strings.Contains(strings.ToLower(raw), t.value)
	}
	if j == nil {
		return false
	}
	switch t.key {
	case "class":
		return t.is(j.DisplayClass()) || t.is(j.Class)
	case "queue":
		return t.is(j.Queue)
	case "jid":
		return t.is(j.JID)
	case "tag":
		return slices.ContainsFunc(j.Tags(), t.is)
	case "error":
		return t.in(j.String("error_class")) || t.in(j.String("error_message"))
	case "arg":
		return anyText(j.DisplayArgs(), t.in)
	case "host":
		return anyText(j.DisplayArgs(), func(s string) bool { return t.is(hostOf(s)) })
	case "age":
		created := j.Time("created_at")
		return !created.IsZero() && t.compares(now.Sub(created).Seconds())
	default: // retry
		n, _ := j.RetryCount()
		if _, ok := j.RetryCount(); ok {
			n++ // the field counts from 0
		}
		return t.compares(float64(n))
	}
}

func (t *term) is(s string) bool { return t.match.MatchString(strings.ToLower(s)) }
func (t *term) in(s string) bool { return strings.Contains(strings.ToLower(s), t.value) }

func (t *term) compares(n float64) bool {
	switch t.op {
	case '<':
		return n < t.n
	case '>':
		return n > t.n
	}
	return n == t.n
}

// hostOf returns the host of a URL without its port, or the text itself.
func hostOf(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// anyText reports whether fn holds for any text, number or truth value in a JSON value, also inside
// of arrays and objects.
func anyText(value json.RawMessage, fn func(string) bool) bool {
	var list []json.RawMessage
	var fields map[string]json.RawMessage
	switch text := strings.TrimSpace(string(value)); {
	case text == "":
		return false
	case text[0] == '[' && json.Unmarshal(value, &list) == nil:
		return slices.ContainsFunc(list, func(v json.RawMessage) bool { return anyText(v, fn) })
	case text[0] == '{' && json.Unmarshal(value, &fields) == nil:
		for _, v := range fields {
			if anyText(v, fn) {
				return true
			}
		}
		return false
	case text[0] == '"':
		s, _ := envelope.Unquote(text)
		return fn(s)
	default:
		return fn(text)
	}
}

// maxTerm is the most characters of a value that Term writes.
const maxTerm = 200

// bare is a value that needs no quotes in a filter.
var bare = regexp.MustCompile(`^[\p{L}\p{N}_.:/@-]+$`)

// Term writes a term of a filter that chooses the jobs with a value. The value is cut where the
// syntax cannot say it, so the term may choose a few more jobs. It is "" if it would choose all.
func Term(key, value string) string {
	if runes := []rune(value); len(runes) > maxTerm {
		value = string(runes[:maxTerm])
		if filterKeys[key] {
			value += "*"
		}
	}
	if filterKeys[key] {
		value = strings.ReplaceAll(value, `"`, "*")
	} else {
		value, _, _ = strings.Cut(value, `"`)
	}
	if rest := strings.TrimLeft(value, ":"); rest != value { // key:: would be free text
		value = rest
		if filterKeys[key] {
			value = "*" + rest
		}
	}
	if value == "" || value == "*" {
		return ""
	}
	if bare.MatchString(value) {
		return key + ":" + value
	}
	return key + `:"` + value + `"`
}

// plain is a value that stands in JSON as it is.
var plain = regexp.MustCompile(`^[a-z0-9_.-]{3,}$`)

// longest returns the longest value that must stand in each payload that the filter chooses, or "".
func (f Filter) longest() (best string) {
	for _, t := range f.terms {
		value := strings.Trim(t.value, "*")
		if !t.not && t.op != '<' && t.op != '>' && t.key != "retry" && plain.MatchString(value) &&
			len(value) > len(best) {
			best = value
		}
	}
	return best
}
