package httpsig

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// label is the name of our signature among those of a message.
const label = "sig1"

// SignMessage signs a request by RFC 9421, with RSASSA-PKCS1-v1_5 and SHA-256. It sets the
// headers Content-Digest (if body is not nil), Signature-Input and Signature, and removes
// Digest.
func SignMessage(r *http.Request, body []byte, k Key, now time.Time) error {
	r.Header.Del("Digest")
	components := []string{"@method", "@target-uri"}
	if body != nil {
		sum := sha256.Sum256(body)
		r.Header.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
		components = append(components, "content-digest")
	}
	quoted := make([]string, len(components))
	for i, c := range components {
		quoted[i] = strconv.Quote(c)
	}
	params := fmt.Sprintf(`(%s);created=%d;keyid="%s";alg="rsa-v1_5-sha256"`,
		strings.Join(quoted, " "), now.Unix(), k.ID)
	text, err := signatureBase(r, components, params)
	if err != nil {
		return err
	}
	signature, err := signature(k, text)
	if err != nil {
		return err
	}
	r.Header.Set("Signature-Input", label+"="+params)
	r.Header.Set("Signature", label+"=:"+base64.StdEncoding.EncodeToString(signature)+":")
	return nil
}

// signatureBase returns the text that is signed (RFC 9421 2.5): a line for each component,
// and one for the parameters.
func signatureBase(r *http.Request, components []string, params string) (string, error) {
	var b strings.Builder
	for _, name := range components {
		value, err := component(r, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%q: %s\n", name, value)
	}
	fmt.Fprintf(&b, "%q: %s", "@signature-params", params)
	return b.String(), nil
}

// component returns the value of a component of a request (RFC 9421 2.1, 2.2).
func component(r *http.Request, name string) (string, error) {
	switch name {
	case "@method":
		return r.Method, nil
	case "@authority":
		return strings.ToLower(host(r)), nil
	case "@path":
		return path(r), nil
	case "@query":
		return "?" + r.URL.RawQuery, nil
	case "@target-uri":
		return targetURI(r), nil
	}
	values, ok := r.Header[http.CanonicalHeaderKey(name)]
	if !ok || strings.HasPrefix(name, "@") {
		return "", fmt.Errorf("the component %q is signed but missing or unknown", name)
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.TrimSpace(v)
	}
	return strings.Join(trimmed, ", "), nil
}

func path(r *http.Request) string {
	if p := r.URL.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

// targetURI returns the whole URL. A server, whose request has only a path, builds it from
// the connection and the host.
func targetURI(r *http.Request) string {
	scheme := r.URL.Scheme
	if scheme == "" {
		scheme = "http"
		if r.TLS != nil {
			scheme = "https"
		}
	}
	uri := scheme + "://" + strings.ToLower(host(r)) + path(r)
	if r.URL.RawQuery != "" {
		uri += "?" + r.URL.RawQuery
	}
	return uri
}
