package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

const (
	tokenPrefix = "kyu_" // scanners for leaked secrets find it
	tokenBytes  = 32     // random bytes of a token
	minToken    = 22     // characters: 128 bits in base64
)

// NewToken makes a random token of 256 bits, and the line of a tokens file for it, without a
// newline. The line does not reveal the token.
func NewToken(name string, role Role) (token, line string, err error) {
	if err := checkName(name); err != nil {
		return "", "", err
	}
	if _, err := ParseRole(role.String()); err != nil {
		return "", "", err
	}
	b := make([]byte, tokenBytes)
	rand.Read(b)
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
	sum := sha256.Sum256([]byte(token))
	return token, fmt.Sprintf("%s:%s:%x", name, role, sum), nil
}

// holder is a person who has a token.
type holder struct {
	Person
	sum [sha256.Size]byte
}

func parseTokens(path, text string) ([]holder, error) {
	entries, err := parseEntries(path, text, func(secret string) error {
		_, err := parseSum(secret)
		return err
	})
	if err != nil {
		return nil, err
	}
	holders := make([]holder, len(entries))
	for i, e := range entries {
		sum, _ := parseSum(e.secret)
		holders[i] = holder{e.Person, sum}
	}
	return holders, nil
}

func parseSum(text string) (sum [sha256.Size]byte, err error) {
	if len(text) != 2*len(sum) {
		return sum, errSum
	}
	if _, err := hex.Decode(sum[:], []byte(text)); err != nil {
		return sum, errSum
	}
	return sum, nil
}

var errSum = errors.New("the hash is not SHA-256 in 64 hexadecimal digits")

// bearer returns the token of the request's header Authorization. Schemes other than Bearer do
// not count: a proxy may pass on its own password.
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// holderOf returns the person who has the token. It compares the token with all of them, in a time
// that does not depend on the token.
func holderOf(holders []holder, token string) (p Person, ok bool) {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range holders {
		same := subtle.ConstantTimeCompare(holders[i].sum[:], sum[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 || len(token) < minToken {
		return Person{}, false
	}
	return holders[found].Person, true
}
