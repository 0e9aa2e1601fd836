package envelope

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
)

// maxBacktrace is the most bytes of a backtrace after decompression.
const maxBacktrace = 1 << 20

// Backtrace returns the lines of the backtrace of the job's last failure, or nil if the job has
// none or it cannot be read. Sidekiq stores a JSON array, compressed by zlib, in base64 of one line
// or of lines of 60 characters; Sidekiq 6 may store the array itself (docs/wire.md 3.1).
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

// PackBacktrace encodes the lines of a backtrace as a payload stores them: a JSON array, compressed
// by zlib, in base64 (docs/wire.md 3.1).
func PackBacktrace(lines []string) string {
	text, err := json.Marshal(lines)
	if err != nil {
		return "" // cannot happen: strings always marshal
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(text) // a bytes.Buffer returns no error
	z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
