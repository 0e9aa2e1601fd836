package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// SessionTime is how long a session lasts after the sign-in.
const SessionTime = 12 * time.Hour

const (
	secureCookie = "__Host-kyu" // browsers take it only over HTTPS, and from this very host
	plainCookie  = "kyu"        // over plain HTTP to a loopback address
	maxCookie    = 2048         // bytes
	maxAhead     = time.Minute  // by which the clock of another process may be ahead
	minKey       = 32           // bytes
)

// session is the content of a cookie. It is sealed: the browser can neither read nor change it.
type session struct {
	Name    string `json:"n"`
	Mark    string `json:"m"`           // the user's or the provider's mark at the sign-in
	Revoked string `json:"r,omitempty"` // the mark of Revoked at the sign-in
	Began   int64  `json:"t"`           // milliseconds since 1970
	Role    Role   `json:"o,omitempty"` // by the OpenID provider; Nobody for a user of the file
}

// sealer seals and opens sessions.
type sealer struct{ aead cipher.AEAD }

// newSealer makes a sealer with a key of at least 32 bytes, or with a random one if it is nil.
func newSealer(key []byte) (*sealer, error) {
	if key == nil {
		key = make([]byte, minKey)
		rand.Read(key)
	}
	if len(key) < minKey {
		return nil, fmt.Errorf("the key has %d bytes, less than %d", len(key), minKey)
	}
	derived, err := hkdf.Key(sha256.New, key, nil, "kyu dashboard session", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &sealer{aead}, err
}

// seal returns the value of a cookie of that name.
func (s *sealer) seal(cookie string, v any) string {
	plain, _ := json.Marshal(v) // texts and numbers
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(cookie)))
}

// open returns the session of a value, unless seal did not make it for that cookie with this key,
// or the session has ended.
func (s *sealer) open(cookie, value string) (v session, ok bool) {
	if !s.unseal(cookie, value, &v) {
		return session{}, false
	}
	age := time.Since(time.UnixMilli(v.Began))
	return v, age < SessionTime && age > -maxAhead
}

// unseal reads what seal has made for that cookie with this key.
func (s *sealer) unseal(cookie, value string, v any) bool {
	if len(value) > maxCookie {
		return false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return false
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(cookie))
	return err == nil && json.Unmarshal(plain, v) == nil
}

// isPlain reports whether a browser sent the request over plain HTTP to a loopback address. A
// person who forges the headers gets a cookie that the own browser does not take.
func isPlain(r *http.Request) bool {
	addr, _ := peer(r)
	https := r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
	return !https && addr.IsLoopback() && isLoopback(hostOf(r.Host))
}

// sessionOf returns the session of a request's cookie.
func (s *sealer) sessionOf(r *http.Request) (session, bool) {
	names := []string{secureCookie}
	if isPlain(r) {
		names = append(names, plainCookie)
	}
	for _, name := range names {
		if c, err := r.Cookie(name); err == nil {
			if v, ok := s.open(name, c.Value); ok {
				return v, true
			}
		}
	}
	return session{}, false
}

// give sets the cookie of a session. Some proxies pass on neither Host nor X-Forwarded-Proto, but
// browsers send Origin with the form.
func (s *sealer) give(w http.ResponseWriter, r *http.Request, v session) {
	name := secureCookie
	if isPlain(r) && !strings.HasPrefix(r.Header.Get("Origin"), "https://") {
		name = plainCookie
	}
	setCookie(w, name, s.seal(name, v), SessionTime)
}

// takeAway removes the cookie of a session.
func takeAway(w http.ResponseWriter) {
	setCookie(w, secureCookie, "", -time.Second)
	setCookie(w, plainCookie, "", -time.Second)
}

func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/",
		MaxAge: int(life / time.Second), Secure: strings.HasPrefix(name, "__Host-"), HttpOnly: true,
		SameSite: http.SameSiteLaxMode})
}

// ReadSecret reads a secret of one line from a file that other users of the machine can neither
// read nor change. Spaces and newlines at its ends do not count.
func ReadSecret(path string) (string, error) {
	text, err := readPrivate(path)
	if err != nil {
		return "", err
	}
	if text = strings.TrimSpace(text); text == "" || strings.ContainsAny(text, "\r\n") {
		return "", fmt.Errorf("%s: want one line with the secret", path)
	}
	return text, nil
}

// ReadKey reads a key for Options.Key from a file that other users of the machine can neither read
// nor change. All its bytes but spaces and newlines at the ends are the key, at least 32.
func ReadKey(path string) ([]byte, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	if text = strings.TrimSpace(text); len(text) < minKey {
		return nil, fmt.Errorf("%s has %d bytes, less than %d: run openssl rand -base64 32",
			path, len(text), minKey)
	}
	return []byte(text), nil
}
