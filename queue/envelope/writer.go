package envelope

import "strconv"

// Writer encodes a JSON object field by field, in the order of the calls, as Ruby's JSON.generate
// would.
type Writer struct{ b []byte }

// NewWriter returns a Writer that uses the memory of b, which must be empty.
func NewWriter(b []byte) *Writer { return &Writer{b} }

// End closes the object and returns its bytes.
func (w *Writer) End() []byte { return append(w.b, '}') }

func (w *Writer) name(key string) {
	sep := byte(',')
	if len(w.b) == 0 {
		sep = '{'
	}
	w.b = append(AppendString(append(w.b, sep), key), ':')
}

// Field writes a field whose value is JSON.
func (w *Writer) Field(key string, token []byte) { w.name(key); w.b = append(w.b, token...) }

// Token is Field for JSON in a string.
func (w *Writer) Token(key, token string) { w.name(key); w.b = append(w.b, token...) }

// Text writes a string. Invalid UTF-8 becomes U+FFFD.
func (w *Writer) Text(key, s string) { w.name(key); w.b = AppendString(w.b, s) }

// Int writes an integer.
func (w *Writer) Int(key string, n int64) {
	w.name(key)
	w.b = strconv.AppendInt(w.b, n, 10)
}

// Value writes any value, as Encode does. If there is an error, nothing is written.
func (w *Writer) Value(key string, v any) error {
	token, err := Encode(v, 1)
	if err != nil {
		return err
	}
	w.Field(key, token)
	return nil
}

// Args writes the arguments of a job. A nil list becomes [], not null, although Ruby reads both: []
// shows that the job has no arguments. After an error the object is not valid.
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
