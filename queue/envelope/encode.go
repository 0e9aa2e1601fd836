package envelope

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is the deepest nesting of JSON that Ruby generates or parses, counted from the job's own
// braces (docs/wire.md 2.2).
const maxDepth = 100

// encodeOptions make encoding/json/v2 write the bytes that Ruby's JSON.generate writes: only
// necessary escapes, no invalid UTF-8, map keys in a fixed order, floats with a fraction. The bytes
// matter, because Ruby finds a member of a sorted set by generating its JSON again
// (docs/wire.md 2.1).
var encodeOptions = json.JoinOptions(
	json.Deterministic(true),
	json.FormatNilSliceAsNull(true),
	json.FormatNilMapAsNull(true),
	jsontext.AllowDuplicateNames(false), // json 3 refuses an object that has a key twice
	json.WithMarshalers(json.JoinMarshalers(
		json.MarshalToFunc(func(e *jsontext.Encoder, f float64) error {
			return writeFloat(e, f, 64)
		}),
		json.MarshalToFunc(func(e *jsontext.Encoder, f float32) error {
			return writeFloat(e, float64(f), 32)
		}),
		json.MarshalToFunc(func(e *jsontext.Encoder, n stdjson.Number) error {
			return e.WriteValue(jsontext.Value(n))
		}),
	)),
)

// Encode encodes v as Ruby's JSON.generate would. depth is the number of levels around v in the
// job. The error says that v holds NaN, an infinity or invalid UTF-8, or that it would be nested
// deeper than the 100 levels that Ruby reads.
func Encode(v any, depth int) ([]byte, error) {
	raw, err := json.Marshal(v, encodeOptions)
	if err != nil {
		return nil, err
	}
	return canonicalFloats(raw, depth)
}

// appendPlain encodes a list of integers, booleans, nil, and strings that need no escapes: most
// arguments are such lists. ok is false if the list holds anything else. appendPlain takes a
// quarter of the general encoder's time.
func appendPlain(b []byte, list []any) (_ []byte, ok bool) {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		switch v := v.(type) {
		case nil:
			b = append(b, "null"...)
		case bool:
			b = strconv.AppendBool(b, v)
		case int:
			b = strconv.AppendInt(b, int64(v), 10)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case string:
			if !isPlain(v) {
				return nil, false
			}
			b = append(append(append(b, '"'), v...), '"')
		default:
			return nil, false
		}
	}
	return append(b, ']'), true
}

// isPlain reports whether a string needs no escapes in JSON: it is printable ASCII without quotes
// and backslashes.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func writeFloat(e *jsontext.Encoder, f float64, bits int) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%v is not a JSON number", f)
	}
	return e.WriteValue(AppendFloat(nil, f, bits))
}

// AppendFloat appends f to b in the shortest form that reads back as f, always with a fraction, and
// with an exponent below 1e-4 and from 1e15 on, such as 1.0e+15 (docs/wire.md 2.2). bits is the
// size of f's type, 32 or 64.
func AppendFloat(b []byte, f float64, bits int) []byte {
	abs := math.Abs(f)
	if abs == 0 || (abs >= 1e-4 && abs < 1e15) {
		start := len(b)
		b = strconv.AppendFloat(b, f, 'f', -1, bits)
		if bytes.IndexByte(b[start:], '.') < 0 {
			b = append(b, ".0"...)
		}
		return b
	}
	s := strconv.FormatFloat(f, 'e', -1, bits)
	mantissa, exponent, _ := strings.Cut(s, "e")
	b = append(b, mantissa...)
	if !strings.Contains(mantissa, ".") {
		b = append(b, ".0"...)
	}
	return append(append(b, 'e'), exponent...)
}

// canonicalFloats rewrites the floats in raw as AppendFloat writes them, because a json.RawMessage
// may hold other forms. It also checks the depth. raw is valid JSON without white space.
func canonicalFloats(raw []byte, depth int) ([]byte, error) {
	var out []byte
	text, last := string(raw), 0
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '"':
			s := scanner{s: text, i: i}
			s.str()
			i = s.i
		case c == '{' || c == '[':
			depth++
			if depth > maxDepth {
				return nil, fmt.Errorf("nested deeper than %d levels, which Ruby cannot read",
					maxDepth)
			}
			i++
		case c == '}' || c == ']':
			depth--
			i++
		case c == '-' || (c >= '0' && c <= '9'):
			end := i + 1
			for end < len(raw) && strings.IndexByte("0123456789.eE+-", raw[end]) >= 0 {
				end++
			}
			if bytes.ContainsAny(raw[i:end], ".eE") {
				f, err := strconv.ParseFloat(string(raw[i:end]), 64)
				if err != nil && errors.Is(err, strconv.ErrRange) && math.IsInf(f, 0) {
					return nil, fmt.Errorf("number %s is out of range", raw[i:end])
				}
				out = append(out, raw[last:i]...)
				out = AppendFloat(out, f, 64)
				last = end
			}
			i = end
		default:
			i++
		}
	}
	if last == 0 {
		return raw, nil
	}
	return append(out, raw[last:]...), nil
}

// AppendString appends s to b as a JSON string, as Encode would write it. Invalid UTF-8 becomes
// U+FFFD.
func AppendString(b []byte, s string) []byte {
	if isPlain(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	b, err := jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\ufffd"))
	if err != nil {
		panic(err) // cannot happen: only invalid UTF-8 is an error
	}
	return b
}

// Unquote returns the text of a JSON string, or false if tok is no JSON string.
func Unquote(tok string) (string, bool) {
	if len(tok) < 2 || tok[0] != '"' {
		return "", false
	}
	if strings.IndexByte(tok, '\\') < 0 {
		return tok[1 : len(tok)-1], true
	}
	b, err := jsontext.AppendUnquote(nil, tok)
	if err != nil && b == nil {
		return "", false
	}
	return string(b), true // a lone surrogate reads as U+FFFD
}
