package httpsig

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// requestTarget stands for the method and the path in a list of signed headers.
const requestTarget = "(request-target)"

// unsigned lists headers that are not signed, because proxies on the way change them.
var unsigned = map[string]bool{"User-Agent": true, "Accept-Encoding": true, "Accept": true,
	"Signature": true, "Content-Length": true, "If-None-Match": true, "If-Modified-Since": true}

// SetDigest sets the header Digest to "SHA-256=" and the body's sum in base64.
func SetDigest(r *http.Request, body []byte) { r.Header.Set("Digest", digest(body)) }

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return "SHA-256=" + base64.StdEncoding.EncodeToString(sum[:])
}

// Sign signs a request by draft-cavage-http-signatures-12 with rsa-sha256. It sets the
// headers Date, Digest (if body is not nil) and Signature, which covers all headers but those
// that proxies change.
func Sign(r *http.Request, body []byte, k Key, now time.Time) error {
	r.Header.Set("Date", now.UTC().Format(http.TimeFormat))
	if body != nil {
		SetDigest(r, body)
	}
	names := []string{"host"}
	for name := range r.Header {
		if !unsigned[name] && name != "Host" {
			names = append(names, strings.ToLower(name))
		}
	}
	names = append(names, requestTarget)
	text, err := signingString(r, names)
	if err != nil {
		return err
	}
	signature, err := signature(k, text)
	if err != nil {
		return err
	}
	r.Header.Set("Signature", fmt.Sprintf(
		`keyId="%s",algorithm="rsa-sha256",headers="%s",signature="%s"`,
		k.ID, strings.Join(names, " "), base64.StdEncoding.EncodeToString(signature)))
	return nil
}

func signature(k Key, text string) ([]byte, error) {
	sum := sha256.Sum256([]byte(text))
	signed, err := rsa.SignPKCS1v15(nil, k.Private, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("signing with %s: %w", k, err)
	}
	return signed, nil
}

// signingString returns the text that is signed (draft-cavage 2.3): a line for each name.
func signingString(r *http.Request, names []string) (string, error) {
	lines := make([]string, len(names))
	for i, name := range names {
		var value string
		switch name {
		case requestTarget:
			value = strings.ToLower(r.Method) + " " + r.URL.RequestURI()
		case "host":
			value = host(r)
		case "(created)", "(expires)":
			return "", errors.New(name + " is not supported: sign Date instead")
		default:
			values, ok := r.Header[http.CanonicalHeaderKey(name)]
			if !ok {
				return "", fmt.Errorf("the header %s is signed but missing", name)
			}
			value = strings.Join(values, ", ")
		}
		lines[i] = name + ": " + strings.TrimSpace(value)
	}
	return strings.Join(lines, "\n"), nil
}

func host(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}
