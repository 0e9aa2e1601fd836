package worker

import (
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"unicode/utf8"
)

// maxMessage is how many characters of an error's text are stored, as in Sidekiq.
const maxMessage = 10_000

// PanicError is the error of a handler that panicked or called runtime.Goexit.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // of the goroutine when it panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// ErrorClass is the name under which the failure is stored.
func (e *PanicError) ErrorClass() string { return "panic" }

// Unwrap returns the value of the panic if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

func newPanicError(value any) *PanicError { return &PanicError{value, debug.Stack()} }

// errorClass returns the name under which an error is stored: the name that its method ErrorClass
// returns, else the type of the first error in the chain that is more than text, else "error".
func errorClass(err error) (name string) {
	defer func() {
		if recover() != nil {
			name = "error" // a method of the error panicked
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

// anonymousErrors are types of errors that say nothing but their text.
var anonymousErrors = map[string]bool{"errors.errorString": true, "errors.joinError": true,
	"fmt.wrapError": true, "fmt.wrapErrors": true, "queue.Steer": true}

// errorMessage returns the text of an error as it is stored. If its method Error panics, the text
// says that, and the job is not lost.
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

// backtrace returns up to n lines (all if n < 0) that say where err came from: the stack of a
// panic, else the errors that it wraps.
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
