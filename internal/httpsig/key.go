// Package httpsig signs HTTP requests as Mastodon-like servers expect it of each
// other, and verifies such signatures: draft-cavage-http-signatures with rsa-sha256,
// and RFC 9421.
package httpsig

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
)

// Key is an actor's key. It never shows its private half.
type Key struct {
	ID      string // a URL, such as https://example.com/users/alice#main-key
	Private *rsa.PrivateKey
}

// String is the key's id.
func (k Key) String() string { return k.ID }

// GoString is the key's id, so that %#v does not tell more.
func (k Key) GoString() string { return k.ID }

// LogValue is the key's id.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.ID) }

// ParseKey reads a private key in PEM: PKCS #1, as Ruby writes it, or PKCS #8.
func ParseKey(id, text string) (Key, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return Key{}, errors.New("the private key of " + id + " is no PEM")
	}
	if private, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return Key{id, private}, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if private, ok := any.(*rsa.PrivateKey); err == nil && ok {
		return Key{id, private}, nil
	}
	return Key{}, errors.New("the private key of " + id + " is no RSA key that can be read")
}
