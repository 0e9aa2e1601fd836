package envelope

import "strings"

// The most bytes of a payload that are read to show it: a short payload is read as a whole, of a
// longer one the head and the tail. The fields with the times of a job are before or behind its
// arguments. The message of an error may come after them.
const (
	WholeBytes = 16 << 10
	HeadBytes  = 4 << 10
	TailBytes  = WholeBytes - HeadBytes
)

// Excerpt returns a job with the fields that lie completely in the head or in the tail of a long
// payload, but without arguments. Its class is "?" if the class is not among these fields. ok is
// false if head is not the beginning of an object.
func Excerpt(head, tail string) (j *Job, ok bool) {
	c := scanner{s: head}
	c.space()
	if c.i >= len(head) || head[c.i] != '{' {
		return nil, false
	}
	text := []byte(`{"class":"?"`)
	c.object(1, func(name, value span) {
		if int(value.end) < len(head) { // a value that ends with head may be longer
			text = appendMember(text, name.token(head), value.token(head))
		}
	})
	for _, m := range lastMembers(tail) {
		text = appendMember(text, m[0], m[1])
	}
	j, err := ParseJob(string(append(text, '}')))
	return j, err == nil
}

// appendMember appends a field, unless it is the arguments, because long payloads have long
// arguments.
func appendMember(b []byte, name, value string) []byte {
	if name == `"args"` {
		return b
	}
	b = append(append(b, ','), name...)
	return append(append(b, ':'), value...)
}

// lastMembers returns the last fields of the object that ends with text, the last one first. It
// stops at a field that begins before text.
func lastMembers(text string) (members [][2]string) {
	end := strings.LastIndexByte(text, '}')
	for end > 0 {
		start := memberStart(text[:end])
		if start < 0 {
			return members
		}
		c := scanner{s: text[:end], i: start + 1} // after the comma
		c.space()
		name := span{start: int32(c.i)}
		if !c.str() {
			return members
		}
		name.end = int32(c.i)
		if !c.next(':') {
			return members
		}
		c.space()
		value := span{start: int32(c.i)}
		if !c.value(1) {
			return members
		}
		value.end = int32(c.i)
		if !c.end() {
			return members
		}
		members = append(members, [2]string{name.token(text), value.token(text)})
		end = start
	}
	return members
}

// memberStart returns the index of the comma before the last field of an object whose closing brace
// is cut off, or -1 if the field begins before text. It reads text backwards. Quotes inside of a
// string are escaped, so the next quote without an escape is the opening one.
func memberStart(text string) int {
	depth := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case '"':
			if i = openingQuote(text[:i]); i < 0 {
				return -1
			}
		case '}', ']':
			depth++
		case '{', '[':
			if depth--; depth < 0 {
				return -1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// openingQuote returns the index of the last quote in text that is not escaped, or -1.
func openingQuote(text string) int {
	for i := strings.LastIndexByte(text, '"'); i >= 0; i = strings.LastIndexByte(text[:i], '"') {
		before := strings.TrimRight(text[:i], `\`)
		if (i-len(before))%2 == 0 {
			return i
		}
	}
	return -1
}
