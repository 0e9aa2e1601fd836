// Package env reads settings from environment variables, remembers where each
// value came from, and collects every problem instead of stopping at the first.
package env

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Setting is one resolved value, for --print-config.
type Setting struct {
	Name   string
	Value  string // masked if it holds a secret
	Source string // "REDIS_URL", "default", "-c", "config/sidekiq.yml: concurrency" …
}

// Reader reads the environment. The zero Reader reads the process's own.
type Reader struct {
	Lookup   func(key string) (string, bool) // os.LookupEnv if nil
	Settings []Setting                       // in the order in which they were read
	problems []error
}

// Err is every problem found so far, one a line, or nil.
func (r *Reader) Err() error { return errors.Join(r.problems...) }

// Problem records that a setting is wrong. It is told once, whoever reads the setting.
func (r *Reader) Problem(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, known := range r.problems {
		if known.Error() == err.Error() {
			return
		}
	}
	r.problems = append(r.problems, err)
}

// Note records a resolved setting.
func (r *Reader) Note(name, value, source string) {
	r.Settings = append(r.Settings, Setting{name, value, source})
}

// Get is the value of the first key that is set and not empty, and the
// variable or file that it came from. KEY_FILE names a file that holds the value, for
// secrets; a systemd credential named like the key in lower case is found in
// $CREDENTIALS_DIRECTORY.
func (r *Reader) Get(keys ...string) (value, source string) {
	for _, key := range keys {
		if v := r.lookup(key); v != "" {
			return v, key
		}
		if path := r.lookup(key + "_FILE"); path != "" {
			return r.file(key+"_FILE", path)
		}
		if dir := r.lookup("CREDENTIALS_DIRECTORY"); dir != "" {
			path := filepath.Join(dir, strings.ToLower(key))
			if _, err := os.Stat(path); err == nil {
				return r.file("credential "+strings.ToLower(key), path)
			}
		}
	}
	return "", ""
}

func (r *Reader) lookup(key string) string {
	if r.Lookup == nil {
		return os.Getenv(key)
	}
	v, _ := r.Lookup(key)
	return v
}

func (r *Reader) file(source, path string) (string, string) {
	b, err := os.ReadFile(path)
	if err != nil {
		r.Problem("%s: %w", source, err)
		return "", ""
	}
	return strings.TrimSpace(string(b)), source
}

// String reads and notes a text.
func (r *Reader) String(name, fallback string, keys ...string) string {
	v, source := r.Get(keys...)
	if source == "" {
		v, source = fallback, "default"
	}
	r.Note(name, v, source)
	return v
}

// Secret reads a text and notes only whether it is there.
func (r *Reader) Secret(name string, keys ...string) string {
	v, source := r.Get(keys...)
	if source == "" {
		source = "default"
	}
	r.Note(name, Mask(v), source)
	return v
}

// Int reads and notes a number in [low, high].
func (r *Reader) Int(name string, fallback, low, high int, keys ...string) int {
	v, source := r.Get(keys...)
	if source == "" {
		r.Note(name, strconv.Itoa(fallback), "default")
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		r.Problem("%s=%q: want a number from %d to %d", source, v, low, high)
		return fallback
	}
	r.Note(name, v, source)
	return n
}

// Bool reads and notes a switch: true, false, 1, 0, yes, no, on, off.
func (r *Reader) Bool(name string, fallback bool, keys ...string) bool {
	v, source := r.Get(keys...)
	b := fallback
	switch strings.ToLower(v) {
	case "":
		source = "default"
	case "true", "1", "yes", "on":
		b = true
	case "false", "0", "no", "off":
		b = false
	default:
		r.Problem("%s=%q: want true or false", source, v)
	}
	r.Note(name, strconv.FormatBool(b), source)
	return b
}

// Mask hides a secret but shows whether there is one.
func Mask(secret string) string {
	if secret == "" {
		return ""
	}
	return "***"
}

// MaskURL hides the password in a URL, and in its query; and all of what is no URL,
// unless it is a plain name.
func MaskURL(raw string) string {
	if !strings.ContainsAny(raw, ":@?=") {
		return raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Fragment != "" ||
		!strings.HasPrefix(strings.ToLower(raw), u.Scheme+"://") ||
		(strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[")) {
		return "***" // no URL as one means it, so a password could be anywhere
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), "***")
	}
	q := u.Query()
	for key := range q {
		if k := strings.ToLower(key); strings.Contains(k, "password") ||
			strings.Contains(k, "secret") {
			q.Set(key, "***")
			u.RawQuery = q.Encode()
		}
	}
	return strings.ReplaceAll(u.String(), "%2A%2A%2A", "***")
}
