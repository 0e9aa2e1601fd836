// Package httpsig signs HTTP requests as Mastodon-like servers expect it, and verifies such
// signatures. There are two kinds: draft-cavage-http-signatures-12 (Sign) and RFC 9421
// (SignMessage).
package httpsig

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
)

// Key is an actor's private key. Its texts for logs and errors show only the id.
type Key struct {
	ID      string // a URL, such as https://example.com/users/alice#main-key
	Private *rsa.PrivateKey
}

// String returns the key's id.
func (k Key) String() string { return k.ID }

// GoString returns the key's id, so that %#v shows nothing else.
func (k Key) GoString() string { return k.ID }

// LogValue returns the key's id.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.ID) }

// ParseKey reads an RSA private key in PEM: PKCS #1, as Ruby writes it, or PKCS #8. The
// error holds the id, and nothing of text.
func ParseKey(id, text string) (Key, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return Key{}, errors.New("the private key of " + id + " is not PEM")
	}
	if private, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return Key{id, private}, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if private, ok := any.(*rsa.PrivateKey); err == nil && ok {
		return Key{id, private}, nil
	}
	return Key{}, errors.New("the private key of " + id + " cannot be read as an RSA key")
}
