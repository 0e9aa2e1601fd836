// Package env reads settings from environment variables. It records the source of each
// value, and collects all problems instead of stopping at the first.
package env

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Setting is one resolved value, for --print-config.
type Setting struct {
	Name   string // for people, such as "postgres host"
	Value  string // "***" in place of a secret
	Source string // "REDIS_URL", "default", "-c", "config/sidekiq.yml: concurrency" …
}

// Reader reads the environment. The zero Reader reads that of the process. It must not be
// used by several goroutines at once.
type Reader struct {
	Lookup   func(key string) (string, bool) // nil: os.LookupEnv
	Settings []Setting                       // in the order in which they were read
	problems []error
}

// Err returns all problems so far in one error, one per line, or nil.
func (r *Reader) Err() error { return errors.Join(r.problems...) }

// Problem records that a setting is wrong. A text that has been recorded is not recorded
// again.
func (r *Reader) Problem(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, known := range r.problems {
		if known.Error() == err.Error() {
			return
		}
	}
	r.problems = append(r.problems, err)
}

// Note records a setting, for --print-config.
func (r *Reader) Note(name, value, source string) {
	r.Settings = append(r.Settings, Setting{name, value, source})
}

// Get returns the value of the first key that is set and not empty, and its source. The
// source is empty if none is set. A key is also set by KEY_FILE, the path of a file with the
// value, and by a systemd credential: a file in $CREDENTIALS_DIRECTORY whose name is the
// key in lower case.
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

// String reads and records a text.
func (r *Reader) String(name, fallback string, keys ...string) string {
	v, source := r.Get(keys...)
	if source == "" {
		v, source = fallback, "default"
	}
	r.Note(name, v, source)
	return v
}

// Secret reads a text, and records only whether it is set.
func (r *Reader) Secret(name string, keys ...string) string {
	v, source := r.Get(keys...)
	if source == "" {
		source = "default"
	}
	r.Note(name, Mask(v), source)
	return v
}

// Int reads and records a number from low to high. It returns fallback for another value,
// which is a problem.
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

// Bool reads and records a switch: true, false, 1, 0, yes, no, on or off. It returns
// fallback for another value, which is a problem.
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

// Mask returns "***" for a secret, and "" if there is none.
func Mask(secret string) string {
	if secret == "" {
		return ""
	}
	return "***"
}

// MaskURL replaces the password of a URL, and the passwords and secrets in its query, by
// "***". It returns "***" for a text that may be a malformed URL, and a plain name as it
// is.
func MaskURL(raw string) string {
	if first, more, ok := CutHosts(raw); ok && len(more) > 0 {
		return maskHosts(first, more)
	}
	if !strings.ContainsAny(raw, ":@?=") {
		return raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Fragment != "" || strings.ContainsAny(u.Path, ":@") ||
		!strings.HasPrefix(strings.ToLower(raw), u.Scheme+"://") ||
		(strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[")) {
		return "***" // malformed: a password could be anywhere in it
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

// hostAndPort is what a further host of a URL may be, so that no part of a password is taken for
// one.
var hostAndPort = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// CutHosts splits a URL with several hosts, such as redis+cluster://u:p@a:1,b:2/?tag=x, into the
// URL of the first host and the others. ok is false if the text is no such URL.
func CutHosts(raw string) (first string, more []string, ok bool) {
	scheme, rest, found := strings.Cut(raw, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	hosts, tail := rest[:end], rest[end:]
	if !found || strings.Contains(tail, "@") {
		return "", nil, false
	}
	user := ""
	if at := strings.LastIndexByte(hosts, '@'); at >= 0 {
		user, hosts = hosts[:at+1], hosts[at+1:]
	}
	list := strings.Split(hosts, ",")
	for _, h := range list {
		if !hostAndPort.MatchString(h) {
			return "", nil, false
		}
	}
	return scheme + "://" + user + list[0] + tail, list[1:], true
}

// maskHosts is MaskURL for a URL that CutHosts has split.
func maskHosts(first string, more []string) string {
	masked := MaskURL(first)
	scheme, rest, _ := strings.Cut(masked, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if masked == "***" {
		return masked
	}
	return scheme + "://" + rest[:end] + "," + strings.Join(more, ",") + rest[end:]
}
