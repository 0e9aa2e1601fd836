package envelope

// scanner is a strict RFC 8259 parser over a string. It checks values and finds their ends without
// allocating, so the payload itself can be kept. It accepts exactly the bytes that encoding/json
// accepts (FuzzScan).
type scanner struct {
	s string
	i int
}

// maxScanDepth is the deepest nesting that is parsed, as in encoding/json.
const maxScanDepth = 10000

func (c *scanner) space() {
	for c.i < len(c.s) {
		switch c.s[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

// next skips white space and consumes b if it comes next.
func (c *scanner) next(b byte) bool {
	c.space()
	if c.i < len(c.s) && c.s[c.i] == b {
		c.i++
		return true
	}
	return false
}

// end reports whether only white space follows.
func (c *scanner) end() bool {
	c.space()
	return c.i == len(c.s)
}

// value consumes one JSON value. depth is the number of levels around it.
func (c *scanner) value(depth int) bool {
	c.space()
	if c.i >= len(c.s) {
		return false
	}
	switch c.s[c.i] {
	case '"':
		return c.str()
	case '{':
		return c.object(depth+1, nil)
	case '[':
		return c.array(depth+1, nil)
	case 't':
		return c.literal("true")
	case 'f':
		return c.literal("false")
	case 'n':
		return c.literal("null")
	default:
		return c.number()
	}
}

// object consumes an object and calls member, if it is not nil, with the position of each name
// (quotes included) and value.
func (c *scanner) object(depth int, member func(name, value span)) bool {
	if depth > maxScanDepth || !c.next('{') {
		return false
	}
	if c.next('}') {
		return true
	}
	for {
		c.space()
		name := span{start: int32(c.i)}
		if !c.str() {
			return false
		}
		name.end = int32(c.i)
		if !c.next(':') {
			return false
		}
		c.space()
		value := span{start: int32(c.i)}
		if !c.value(depth) {
			return false
		}
		value.end = int32(c.i)
		if member != nil {
			member(name, value)
		}
		if c.next(',') {
			continue
		}
		return c.next('}')
	}
}

// array consumes an array and calls element, if it is not nil, with the position of each element.
func (c *scanner) array(depth int, element func(span)) bool {
	if depth > maxScanDepth || !c.next('[') {
		return false
	}
	if c.next(']') {
		return true
	}
	for {
		c.space()
		e := span{start: int32(c.i)}
		if !c.value(depth) {
			return false
		}
		e.end = int32(c.i)
		if element != nil {
			element(e)
		}
		if c.next(',') {
			continue
		}
		return c.next(']')
	}
}

func (c *scanner) literal(word string) bool {
	if len(c.s)-c.i < len(word) || c.s[c.i:c.i+len(word)] != word {
		return false
	}
	c.i += len(word)
	return true
}

func (c *scanner) str() bool {
	if c.i >= len(c.s) || c.s[c.i] != '"' {
		return false
	}
	for i := c.i + 1; i < len(c.s); i++ {
		if plainText[c.s[i]] {
			continue
		}
		switch b := c.s[i]; {
		case b == '"':
			c.i = i + 1
			return true
		case b < 0x20:
			return false
		case b == '\\':
			i++
			if i >= len(c.s) {
				return false
			}
			switch c.s[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if i+4 >= len(c.s) || !hex4(c.s[i+1:i+5]) {
					return false
				}
				i += 4
			default:
				return false
			}
		}
	}
	return false
}

// plainText has the bytes that stand for themselves in a JSON string.
var plainText = func() (plain [256]bool) {
	for b := range plain {
		plain[b] = b >= 0x20 && b != '"' && b != '\\'
	}
	return plain
}()

func hex4(s string) bool {
	for i := range 4 {
		b := s[i]
		if (b < '0' || b > '9') && (b < 'a' || b > 'f') && (b < 'A' || b > 'F') {
			return false
		}
	}
	return true
}

func (c *scanner) number() bool {
	s, i := c.s, c.i
	digits := func() bool {
		start := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return false
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !digits() {
			return false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	c.i = i
	return true
}

// span is the half-open range of bytes [start, end) of a string.
type span struct{ start, end int32 }

// token returns the text of the range.
func (s span) token(raw string) string { return raw[s.start:s.end] }
