package httpsig

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// A signature is valid for five minutes; clocks may differ by an hour (docs/wire.md 14.2).
const (
	maxAhead = time.Hour                 // in the future
	maxAge   = time.Hour + 5*time.Minute // in the past
)

// Keys returns the public key with an id.
type Keys func(id string) (crypto.PublicKey, error)

// Verify checks the signature of a request that a server has received, by Mastodon's rules,
// and returns the id of its key. The signature may be of either kind.
func Verify(r *http.Request, body []byte, keys Keys, now time.Time) (id string, err error) {
	if r.Header.Get("Signature-Input") != "" {
		return verifyMessage(r, body, keys, now)
	}
	return verifyCavage(r, body, keys, now)
}

var parameter = regexp.MustCompile(`^([A-Za-z]+)="([^"]*)"$`)

// parameters reads the Signature header of draft-cavage.
func parameters(header string) (map[string]string, error) {
	out := map[string]string{}
	for _, part := range strings.Split(header, ",") {
		m := parameter.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return nil, fmt.Errorf("the Signature header has a part that is not name=\"value\": "+
				"%.40q", part)
		}
		if _, double := out[m[1]]; double {
			return nil, fmt.Errorf("the Signature header has %s twice", m[1])
		}
		out[m[1]] = m[2]
	}
	return out, nil
}

func verifyCavage(r *http.Request, body []byte, keys Keys, now time.Time) (string, error) {
	if len(r.Header.Values("Signature")) != 1 {
		return "", errors.New("want one Signature header")
	}
	p, err := parameters(r.Header.Get("Signature"))
	if err != nil {
		return "", err
	}
	if a := p["algorithm"]; a != "" && a != "rsa-sha256" && a != "hs2019" {
		return "", fmt.Errorf("the algorithm %q is not supported: want rsa-sha256 or hs2019", a)
	}
	names := strings.Fields(strings.ToLower(p["headers"]))
	if len(names) == 0 {
		names = []string{"date"}
	}
	if err := covers(r, names, body); err != nil {
		return "", err
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return "", errors.New("the Date header cannot be read")
	}
	if err := inTime(date, now); err != nil {
		return "", err
	}
	text, err := signingString(r, names)
	if err != nil {
		return "", err
	}
	signature, err := base64.StdEncoding.DecodeString(p["signature"])
	if err != nil {
		return "", errors.New("the signature is not base64")
	}
	return p["keyId"], check(keys, p["keyId"], text, signature)
}

// covers checks that the required names are signed, and that the digest is the body's.
func covers(r *http.Request, names []string, body []byte) error {
	want := []string{"date", requestTarget}
	switch r.Method {
	case http.MethodPost:
		want = append(want, "digest")
	case http.MethodGet:
		want = append(want, "host")
	}
	for _, name := range want {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	if r.Method == http.MethodPost && !same(r.Header.Get("Digest"), digest(body)) {
		return errors.New("the digest differs from that of the body")
	}
	return nil
}

func verifyMessage(r *http.Request, body []byte, keys Keys, now time.Time) (string, error) {
	inputs, err := httpsfv.UnmarshalDictionary(r.Header.Values("Signature-Input"))
	if err != nil {
		return "", fmt.Errorf("the Signature-Input header cannot be read: %w", err)
	}
	signatures, err := httpsfv.UnmarshalDictionary(r.Header.Values("Signature"))
	if err != nil {
		return "", fmt.Errorf("the Signature header cannot be read: %w", err)
	}
	if len(inputs.Names()) != 1 {
		return "", errors.New("want one signature")
	}
	name := inputs.Names()[0]
	member, _ := inputs.Get(name)
	list, ok := member.(httpsfv.InnerList)
	if !ok {
		return "", errors.New("the Signature-Input header holds no list of components")
	}
	components, id, err := input(list, r, now)
	if err != nil {
		return "", err
	}
	if r.Method == http.MethodPost {
		sum := sha256.Sum256(body)
		if !same(r.Header.Get("Content-Digest"),
			"sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":") {
			return "", errors.New("the content digest differs from that of the body")
		}
	}
	params, err := httpsfv.Marshal(list)
	if err != nil {
		return "", err
	}
	text, err := signatureBase(r, components, params)
	if err != nil {
		return "", err
	}
	member, _ = signatures.Get(name)
	item, _ := member.(httpsfv.Item)
	signature, ok := item.Value.([]byte)
	if !ok {
		return "", errors.New("the Signature header holds no bytes for " + name)
	}
	return id, check(keys, id, text, signature)
}

// input reads the components and the key's id, and checks that nothing required is missing.
func input(list httpsfv.InnerList, r *http.Request,
	now time.Time) (components []string, id string, err error) {
	for _, item := range list.Items {
		text, ok := item.Value.(string)
		if !ok || len(item.Params.Names()) > 0 {
			return nil, "", errors.New("a component is not a plain name")
		}
		components = append(components, text)
	}
	want := []string{"@method", "@target-uri"}
	if r.Method == http.MethodPost {
		want = append(want, "content-digest")
	}
	for _, w := range want {
		if !slices.Contains(components, w) {
			return nil, "", fmt.Errorf("%s is not signed", w)
		}
	}
	created, _ := list.Params.Get("created")
	seconds, ok := created.(int64)
	if !ok {
		return nil, "", errors.New("created is missing")
	}
	if err := inTime(time.Unix(seconds, 0), now); err != nil {
		return nil, "", err
	}
	keyid, _ := list.Params.Get("keyid")
	if id, ok = keyid.(string); !ok {
		return nil, "", errors.New("keyid is missing")
	}
	return components, id, nil
}

func inTime(at, now time.Time) error {
	if age := now.Sub(at); age > maxAge || age < -maxAhead {
		return fmt.Errorf("the signature is %v old: want from %v to %v", age.Round(time.Second),
			-maxAhead, maxAge)
	}
	return nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// check verifies a signature over text.
func check(keys Keys, id, text string, signature []byte) error {
	public, err := keys(id)
	if err != nil {
		return fmt.Errorf("the key %s: %w", id, err)
	}
	switch key := public.(type) {
	case *rsa.PublicKey:
		sum := sha256.Sum256([]byte(text))
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil {
			return nil
		}
	case ed25519.PublicKey:
		if ed25519.Verify(key, []byte(text), signature) {
			return nil
		}
	default:
		return fmt.Errorf("the key %s is a %T: want RSA or Ed25519", id, public)
	}
	return fmt.Errorf("the signature does not match the key %s", id)
}
