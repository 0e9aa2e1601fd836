package envelope

import "strconv"

// Writer builds a JSON object field by field, in the order of the calls, as Ruby's JSON.generate
// would write it.
type Writer struct{ b []byte }

// NewWriter makes a Writer that appends to b, which must be empty: its memory is used again.
func NewWriter(b []byte) *Writer { return &Writer{b} }

// End closes the object and gives its bytes.
func (w *Writer) End() []byte { return append(w.b, '}') }

func (w *Writer) name(key string) {
	sep := byte(',')
	if len(w.b) == 0 {
		sep = '{'
	}
	w.b = append(AppendString(append(w.b, sep), key), ':')
}

// Field writes a value that is JSON already.
func (w *Writer) Field(key string, token []byte) { w.name(key); w.b = append(w.b, token...) }

// Token is Field for a value in a string.
func (w *Writer) Token(key, token string) { w.name(key); w.b = append(w.b, token...) }

// Text writes a string; invalid UTF-8 becomes U+FFFD.
func (w *Writer) Text(key, s string) { w.name(key); w.b = AppendString(w.b, s) }

// Int writes an integer.
func (w *Writer) Int(key string, n int64) {
	w.name(key)
	w.b = strconv.AppendInt(w.b, n, 10)
}

// Value writes any value, as Encode does. After an error nothing is written.
func (w *Writer) Value(key string, v any) error {
	token, err := Encode(v, 1)
	if err != nil {
		return err
	}
	w.Field(key, token)
	return nil
}

// Args writes the arguments of a job. No arguments are [], not null: Ruby would read null the
// same, but a reader of the payload would not know that the job takes none.
func (w *Writer) Args(list []any) error {
	w.name("args")
	if b, ok := appendPlain(w.b, list); ok {
		w.b = b
		return nil
	}
	token, err := Encode(list, 1)
	if err != nil {
		return err
	}
	w.b = append(w.b, token...)
	return nil
}
