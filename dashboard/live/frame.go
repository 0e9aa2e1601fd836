package live

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// frame is an event as the bytes that all clients are sent. It is never changed.
type frame struct {
	id    string // of a state or trouble; empty for a comment
	bytes []byte
}

// ping is a comment, which EventSource ignores.
var ping = &frame{bytes: []byte(":\n\n")}

// trouble says that there is no newer state. The empty id makes a client forget the id of its
// state, so that it is sent a state after the trouble also if it comes back to another process.
var trouble = &frame{id: "trouble", bytes: []byte("event: trouble\nid\n" +
	"data: The state cannot be read now. The log of the process says why.\n\n")}

// stateFrame encodes a state. Its id is a hash of its bytes: all processes give the same state the
// same id.
func stateFrame(json []byte) *frame {
	sum := sha256.Sum256(json)
	id := hex.EncodeToString(sum[:8])
	var b bytes.Buffer
	b.Grow(len(json) + 64)
	fmt.Fprintf(&b, "id: %s\nevent: state\n", id)
	newline := func(r rune) bool { return r == '\n' || r == '\r' }
	for line := range bytes.FieldsFuncSeq(json, newline) {
		b.WriteString("data: ")
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return &frame{id: id, bytes: b.Bytes()}
}

// hello begins a stream. It says after what time the client should come back if the stream breaks.
func hello(retry time.Duration) []byte {
	return fmt.Appendf(nil, "retry: %d\n\n", retry.Milliseconds())
}

// bye ends a stream. It says after how many milliseconds the client should come back, to
// EventSource and to its reader.
func bye(retry time.Duration) []byte {
	ms := retry.Milliseconds()
	return fmt.Appendf(nil, "event: bye\nretry: %d\ndata: %d\n\n", ms, ms)
}
