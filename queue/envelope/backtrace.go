package envelope

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
)

// maxBacktrace bounds what a backtrace may inflate to, in bytes.
const maxBacktrace = 1 << 20

// Backtrace are the lines of the job's last failure, nil if it carries none or
// they cannot be read. Sidekiq stores them as base64, in one line or in lines of
// 60, of zlib of a JSON array; 6.x also as the array itself (docs/wire.md 3.1).
func (j *Job) Backtrace() []string {
	token := j.Field("error_backtrace")
	text, packed := Unquote(token)
	if packed {
		token = inflate(text)
	}
	var lines []string
	if json.Unmarshal([]byte(token), &lines) != nil {
		return nil
	}
	return lines
}

func inflate(text string) string {
	packed, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return ""
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return ""
	}
	lines, err := io.ReadAll(io.LimitReader(z, maxBacktrace))
	if err != nil {
		return ""
	}
	return string(lines)
}

// PackBacktrace is the form in which a payload stores the lines of a backtrace: base64 of zlib
// of a JSON array (docs/wire.md 3.1).
func PackBacktrace(lines []string) string {
	text, err := json.Marshal(lines)
	if err != nil {
		return "" // strings always marshal
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(text) // a Buffer takes everything
	z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
