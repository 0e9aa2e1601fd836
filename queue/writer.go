package queue

import "strconv"

// fieldWriter builds a JSON object.
type fieldWriter struct{ b []byte }

// newWriter makes a fieldWriter that appends to b, which is empty.
func newWriter(b []byte) *fieldWriter { return &fieldWriter{b} }

// end closes the object and gives its bytes.
func (w *fieldWriter) end() []byte { return append(w.b, '}') }

func (w *fieldWriter) name(key string) {
	sep := byte(',')
	if len(w.b) == 0 {
		sep = '{'
	}
	w.b = append(appendString(append(w.b, sep), key), ':')
}

func (w *fieldWriter) field(key string, token []byte) { w.name(key); w.b = append(w.b, token...) }
func (w *fieldWriter) token(key, token string)        { w.name(key); w.b = append(w.b, token...) }
func (w *fieldWriter) text(key, s string)             { w.name(key); w.b = appendString(w.b, s) }
func (w *fieldWriter) int(key string, n int64) {
	w.name(key)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *fieldWriter) value(key string, v any) error {
	token, err := encode(v, 1)
	if err != nil {
		return err
	}
	w.field(key, token)
	return nil
}

// args writes the arguments; none as [], for null would splat to no arguments in
// Ruby too, but [] says so.
func (w *fieldWriter) args(list []any) error {
	w.name("args")
	if b, ok := appendPlain(w.b, list); ok {
		w.b = b
		return nil
	}
	token, err := encode(list, 1)
	if err != nil {
		return err
	}
	w.b = append(w.b, token...)
	return nil
}
