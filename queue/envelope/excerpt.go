package envelope

import "strings"

// How many bytes of a payload are read to show it: all of a short one, the head and the tail of a
// long one. The fields that tell a job's age lie before its arguments or behind them; the message
// of an error may come after.
const (
	WholeBytes = 16 << 10
	HeadBytes  = 4 << 10
	TailBytes  = WholeBytes - HeadBytes
)

// Excerpt is a job of the fields that lie as a whole in the head or the tail of a payload
// that is too long to be read. A class that is not among them reads as "?". ok is false if
// the head is not the beginning of an object.
func Excerpt(head, tail string) (j *Job, ok bool) {
	c := scanner{s: head}
	c.space()
	if c.i >= len(head) || head[c.i] != '{' {
		return nil, false
	}
	text := []byte(`{"class":"?"`)
	c.object(1, func(name, value span) {
		if int(value.end) < len(head) { // else it may go on
			text = appendMember(text, name.token(head), value.token(head))
		}
	})
	for _, m := range lastMembers(tail) {
		text = appendMember(text, m[0], m[1])
	}
	j, err := ParseJob(string(append(text, '}')))
	return j, err == nil
}

// appendMember adds a field, but not the arguments: they make payloads long.
func appendMember(b []byte, name, value string) []byte {
	if name == `"args"` {
		return b
	}
	b = append(append(b, ','), name...)
	return append(append(b, ':'), value...)
}

// lastMembers reads the last fields of an object from its end, in any order, up to one
// that begins before text does.
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

// memberStart is the place of the comma before the last field of an object that lacks its
// closing brace, or -1 if the field begins before text does. Text is read backwards: a
// quote within a string is escaped, so the nearest one that is not opened it.
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

// openingQuote is the place of the last quote in text without a backslash before it that
// counts, or -1.
func openingQuote(text string) int {
	for i := strings.LastIndexByte(text, '"'); i >= 0; i = strings.LastIndexByte(text[:i], '"') {
		before := strings.TrimRight(text[:i], `\`)
		if (i-len(before))%2 == 0 {
			return i
		}
	}
	return -1
}
