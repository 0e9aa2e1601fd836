package worker

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"unicode/utf8"
)

// maxMessage is how much of an error's text is kept, in characters, as Sidekiq does.
const maxMessage = 10_000

// PanicError is the failure of a handler that panicked, or called
// runtime.Goexit.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string      { return fmt.Sprintf("panic: %v", e.Value) }
func (e *PanicError) ErrorClass() string { return "panic" }

// Unwrap gives the error that was the panic's value, if it was one.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func newPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

// errorClass names an error for the web page: what it calls itself, else the
// type of the first error in the chain that is more than text.
func errorClass(err error) (name string) {
	defer func() {
		if recover() != nil {
			name = "error" // its own method panicked
		}
	}()
	var named interface{ ErrorClass() string }
	if errors.As(err, &named) {
		return named.ErrorClass()
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		name = strings.TrimPrefix(reflect.TypeOf(e).String(), "*")
		if !anonymousErrors[name] {
			return name
		}
	}
	return "error"
}

// anonymousErrors are the standard library's types that carry only text.
var anonymousErrors = map[string]bool{"errors.errorString": true, "errors.joinError": true,
	"fmt.wrapError": true, "fmt.wrapErrors": true, "queue.Steer": true}

// errorMessage is the error's text as it is stored. An Error method that panics
// must not cost the job.
func errorMessage(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = "!!! the error's message could not be read: its Error method panicked"
		}
	}()
	text = strings.ToValidUTF8(err.Error(), "\ufffd")
	if utf8.RuneCountInString(text) > maxMessage {
		text = string([]rune(text)[:maxMessage])
	}
	return text
}

// backtrace is up to n lines (all, if n < 0) that tell where err came from: the
// stack of a panic, else the errors that it wraps.
func backtrace(err error, n int) []string {
	var lines []string
	var p *PanicError
	if errors.As(err, &p) {
		for line := range strings.Lines(string(p.Stack)) {
			lines = append(lines, strings.TrimSpace(line))
		}
	} else {
		for e := err; e != nil; e = errors.Unwrap(e) {
			lines = append(lines, fmt.Sprintf("%T: %s", e, errorMessage(e)))
		}
	}
	if n >= 0 && len(lines) > n {
		lines = lines[:n]
	}
	for i := range lines {
		lines[i] = strings.ToValidUTF8(lines[i], "\ufffd")
	}
	return lines
}
