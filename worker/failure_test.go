package worker

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestErrorMessage(t *testing.T) {
	t.Parallel()
	t.Run("is cut in characters", func(t *testing.T) {
		text := errorMessage(errors.New(strings.Repeat("é", 20_000)))
		if n := utf8.RuneCountInString(text); n != 10_000 || !utf8.ValidString(text) {
			t.Errorf("%d characters, want 10000 whole ones", n)
		}
	})
	t.Run("says so if the Error method panics", func(t *testing.T) {
		if text := errorMessage(unreadable{}); !strings.Contains(text, "could not be read") {
			t.Error(text)
		}
	})
}

func TestErrorClass(t *testing.T) {
	t.Parallel()
	t.Run("is the error's own name, else the first type that is more than text",
		func(t *testing.T) {
			for want, err := range map[string]error{
				"NameError":                fmt.Errorf("x: %w", &UnknownClassError{Class: "A"}),
				"ArgumentError":            &ArgumentError{Err: io.EOF},
				"kyu.Refused":              &RefusedError{},
				"panic":                    newPanicError("x"),
				"error":                    fmt.Errorf("a: %w", errors.New("b")),
				"base64.CorruptInputError": fmt.Errorf("a: %w", base64.CorruptInputError(3)),
			} {
				if got := errorClass(err); got != want {
					t.Errorf("%v is named %s, want %s", err, got, want)
				}
			}
		})
}

func TestBacktrace(t *testing.T) {
	t.Parallel()
	t.Run("is stored in the form that all Sidekiqs read", func(t *testing.T) {
		d := testPolicy().after(t, newPanicError("x"), `"backtrace":2`)
		packed := parse(t, d.settle.Payload).String("error_backtrace")
		deflated, err := base64.StdEncoding.Strict().DecodeString(packed)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zlib.NewReader(bytes.NewReader(deflated))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		if err := json.NewDecoder(z).Decode(&lines); err != nil || len(lines) != 2 {
			t.Errorf("%q (%v), want 2 lines", lines, err)
		}
	})
	t.Run("is not kept unless the job asks for it", func(t *testing.T) {
		for _, field := range []string{`"x":1`, `"backtrace":false`} {
			d := testPolicy().after(t, io.EOF, field)
			if kept := parse(t, d.settle.Payload).Field("error_backtrace"); kept != "" {
				t.Errorf("%s: kept %s", field, kept)
			}
		}
	})
	t.Run("lists wrapped errors if there is no stack", func(t *testing.T) {
		got := backtrace(fmt.Errorf("a: %w", io.EOF), -1)
		if len(got) != 2 || got[1] != "*errors.errorString: EOF" {
			t.Errorf("%q", got)
		}
	})
}
