package httpsig

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	fed "github.com/go-fed/httpsig"
)

// draftKey, draftBody and draftRequest are the example of draft-cavage-http-signatures-12,
// appendix C.
const draftKey = `-----BEGIN RSA PRIVATE KEY-----
MIICXgIBAAKBgQDCFENGw33yGihy92pDjZQhl0C36rPJj+CvfSC8+q28hxA161QF
NUd13wuCTUcq0Qd2qsBe/2hFyc2DCJJg0h1L78+6Z4UMR7EOcpfdUE9Hf3m/hs+F
UR45uBJeDK1HSFHD8bHKD6kv8FPGfJTotc+2xjJwoYi+1hqp1fIekaxsyQIDAQAB
AoGBAJR8ZkCUvx5kzv+utdl7T5MnordT1TvoXXJGXK7ZZ+UuvMNUCdN2QPc4sBiA
QWvLw1cSKt5DsKZ8UETpYPy8pPYnnDEz2dDYiaew9+xEpubyeW2oH4Zx71wqBtOK
kqwrXa/pzdpiucRRjk6vE6YY7EBBs/g7uanVpGibOVAEsqH1AkEA7DkjVH28WDUg
f1nqvfn2Kj6CT7nIcE3jGJsZZ7zlZmBmHFDONMLUrXR/Zm3pR5m0tCmBqa5RK95u
412jt1dPIwJBANJT3v8pnkth48bQo/fKel6uEYyboRtA5/uHuHkZ6FQF7OUkGogc
mSJluOdc5t6hI1VsLn0QZEjQZMEOWr+wKSMCQQCC4kXJEsHAve77oP6HtG/IiEn7
kpyUXRNvFsDE0czpJJBvL/aRFUJxuRK91jhjC68sA7NsKMGg5OXb5I5Jj36xAkEA
gIT7aFOYBFwGgQAQkWNKLvySgKbAZRTeLBacpHMuQdl1DfdntvAyqpAZ0lY0RKmW
G6aFKaqQfOXKCyWoUiVknQJAXrlgySFci/2ueKlIE1QqIiLSZ8V8OlpFLRnb1pzI
7U1yQXnTAEFYM560yJlzUpOb1V4cScGd365tiSMvxLOvTA==
-----END RSA PRIVATE KEY-----
`

const draftBody = `{"hello": "world"}`

func draftRequest() *http.Request {
	r, _ := http.NewRequest("POST", "http://example.com/foo?param=value&pet=dog",
		strings.NewReader(draftBody))
	r.Header.Set("Date", "Sun, 05 Jan 2014 21:31:40 GMT")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Length", "18")
	SetDigest(r, []byte(draftBody))
	return r
}

// fresh makes a new key.
func fresh(t *testing.T) Key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return Key{"https://a.example/users/alice#main-key", private}
}

// keys knows one key.
func keys(k Key) Keys {
	return func(id string) (crypto.PublicKey, error) {
		if id != k.ID {
			return nil, errors.New("unknown")
		}
		return &k.Private.PublicKey, nil
	}
}

// delivery makes a request like those of a worker.
func delivery(t *testing.T, url string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/activity+json")
	r.Header.Set("User-Agent", "test")
	return r
}

func TestSignature(t *testing.T) {
	key, err := ParseKey("Test", draftKey)
	if err != nil {
		t.Fatal(err)
	}
	r := draftRequest()
	if d := r.Header.Get("Digest"); d != "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=" {
		t.Error(d)
	}
	for _, c := range []struct{ name, headers, want string }{
		{"C.1", "date",
			"SjWJWbWN7i0wzBvtPl8rbASWz5xQW6mcJmn+ibttBqtifLN7Sazz6m79cNfwwb8D" +
				"MJ5cou1s7uEGKKCs+FLEEaDV5lp7q25WqS+lavg7T8hc0GppauB6hbgEKTwblDHY" +
				"GEtbGmtdHgVCk9SuS13F0hZ8FD0k/5OxEPXe5WozsbM="},
		{"C.2", "(request-target) host date",
			"qdx+H7PHHDZgy4y/Ahn9Tny9V3GP6YgBPyUXMmoxWtLbHpUnXS2mg2+SbrQDMCJy" +
				"pxBLSPQR2aAjn7ndmw2iicw3HMbe8VfEdKFYRqzic+efkb3nndiv/x1xSHDJWeSW" +
				"kx3ButlYSuBskLu6kd9Fswtemr3lgdDEmn04swr2Os0="},
		{"C.3", "(request-target) host date content-type digest content-length",
			"vSdrb+dS3EceC9bcwHSo4MlyKS59iFIrhgYkz8+oVLEEzmYZZvRs8rgOp+63LEM3" +
				"v+MFHB32NfpB2bEKBIvB1q52LaEUHFv120V01IL+TAD48XaERZFukWgHoBTLMhYS" +
				"2Gb51gWxpeIq8knRmPnYePbF5MOkR0Zkly4zKH7s1dE="},
	} {
		t.Run("is exact for the draft's example "+c.name, func(t *testing.T) {
			text, err := signingString(r, strings.Fields(c.headers))
			if err != nil {
				t.Fatal(err)
			}
			signed, err := signature(key, text)
			if got := base64.StdEncoding.EncodeToString(signed); got != c.want || err != nil {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
}

func TestSignatureBase(t *testing.T) {
	// The request and the deterministic signatures of RFC 9421, appendix B.2.
	r, _ := http.NewRequest("POST", "https://example.com/foo?param=Value&Pet=dog",
		strings.NewReader(draftBody))
	r.Header.Set("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Length", "18")
	t.Run("is that of example B.2.5", func(t *testing.T) {
		secret, _ := base64.StdEncoding.DecodeString(
			"uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjx" +
				"BdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
		text, err := signatureBase(r, []string{"date", "@authority", "content-type"},
			`("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`)
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(text))
		got := base64.StdEncoding.EncodeToString(mac.Sum(nil))
		if got != "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=" {
			t.Errorf("the HMAC is %s over\n%s", got, text)
		}
	})
	t.Run("is that of example B.2.6", func(t *testing.T) {
		public, _ := base64.StdEncoding.DecodeString("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")
		signed, _ := base64.StdEncoding.DecodeString(
			"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb" +
				"04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==")
		text, err := signatureBase(r, []string{"date", "@method", "@path", "@authority",
			"content-type", "content-length"},
			`("date" "@method" "@path" "@authority" "content-type" "content-length");`+
				`created=1618884473;keyid="test-key-ed25519"`)
		if err != nil || !ed25519.Verify(public, []byte(text), signed) {
			t.Errorf("the signature does not verify over\n%s", text)
		}
	})
}

// changes are changes of a signed request that make its signature invalid.
var changes = map[string]func(r *http.Request){
	"another path":   func(r *http.Request) { r.URL.Path = "/other" },
	"another query":  func(r *http.Request) { r.URL.RawQuery = "a=c" },
	"another host":   func(r *http.Request) { r.Host = "c.example" },
	"another method": func(r *http.Request) { r.Method = "PUT" },
	"no signature":   func(r *http.Request) { r.Header.Del("Signature") },
	"another digest": func(r *http.Request) {
		for _, h := range []string{"Digest", "Content-Digest"} {
			if r.Header.Get(h) != "" {
				r.Header.Set(h, "sha-256=:AAAA:")
			}
		}
	},
}

func TestVerify(t *testing.T) {
	k, now, body := fresh(t), time.Now(), []byte(`{"type":"Create"}`)
	for name, sign := range map[string]func(*http.Request, []byte, Key,
		time.Time) error{"cavage": Sign, "rfc9421": SignMessage} {
		signed := func(t *testing.T, at time.Time) *http.Request {
			r := delivery(t, "https://b.example/inbox?a=b", body)
			if err := sign(r, body, k, at); err != nil {
				t.Fatal(err)
			}
			return r
		}
		t.Run(name+": accepts a signed request", func(t *testing.T) {
			if id, err := Verify(signed(t, now), body, keys(k), now); id != k.ID || err != nil {
				t.Errorf("%s, %v", id, err)
			}
		})
		t.Run(name+": refuses the key of another actor", func(t *testing.T) {
			other := Key{k.ID, fresh(t).Private}
			if _, err := Verify(signed(t, now), body, keys(other), now); err == nil {
				t.Error("it verifies")
			}
		})
		for title, at := range map[string]time.Time{"too old": now.Add(-66 * time.Minute),
			"from the future": now.Add(61 * time.Minute)} {
			t.Run(name+": refuses a signature that is "+title, func(t *testing.T) {
				if _, err := Verify(signed(t, at), body, keys(k), now); err == nil {
					t.Error("it verifies")
				}
			})
		}
		t.Run(name+": refuses another body", func(t *testing.T) {
			if _, err := Verify(signed(t, now), []byte(`{"type":"Delete"}`), keys(k),
				now); err == nil {
				t.Error("it verifies")
			}
		})
		for title, spoil := range changes {
			t.Run(name+": refuses "+title, func(t *testing.T) {
				r := signed(t, now)
				spoil(r)
				if _, err := Verify(r, body, keys(k), now); err == nil {
					t.Error("it verifies")
				}
			})
		}
	}
}

func TestSign(t *testing.T) {
	t.Run("is accepted by another implementation", func(t *testing.T) {
		k, body := fresh(t), []byte(`{"type":"Create"}`)
		r := delivery(t, "https://b.example/inbox?a=b", body)
		if err := Sign(r, body, k, time.Now()); err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Host", "b.example") // the library reads it here
		v, err := fed.NewVerifier(r)
		if err != nil {
			t.Fatal(err)
		}
		if v.KeyId() != k.ID {
			t.Error(v.KeyId())
		}
		if err := v.Verify(&k.Private.PublicKey, fed.RSA_SHA256); err != nil {
			t.Error(err)
		}
	})
	t.Run("is accepted by OpenSSL", func(t *testing.T) {
		openssl, err := exec.LookPath("openssl")
		if err != nil {
			t.Fatal("openssl is not installed (make deps)")
		}
		k, dir := fresh(t), t.TempDir()
		text := "(request-target): post /inbox\nhost: b.example"
		signed, err := signature(k, text)
		if err != nil {
			t.Fatal(err)
		}
		der, _ := x509.MarshalPKIXPublicKey(&k.Private.PublicKey)
		for name, b := range map[string][]byte{"key": pem.EncodeToMemory(&pem.Block{
			Type: "PUBLIC KEY", Bytes: der}), "sig": signed, "text": []byte(text)} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command(openssl, "dgst", "-sha256", "-verify", dir+"/key",
			"-signature", dir+"/sig", dir+"/text").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Verified OK") {
			t.Errorf("%v %s", err, out)
		}
	})
}

func TestKey(t *testing.T) {
	t.Run("shows only its id", func(t *testing.T) {
		k := fresh(t)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			text := fmt.Sprintf(verb, k)
			if !strings.Contains(text, k.ID) || len(text) > len(k.ID)+2 {
				t.Errorf("%s: %s", verb, text)
			}
		}
	})
}

func TestParseKey(t *testing.T) {
	t.Run("reads PKCS #8", func(t *testing.T) {
		k := fresh(t)
		pkcs8, _ := x509.MarshalPKCS8PrivateKey(k.Private)
		again, err := ParseKey(k.ID,
			string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
		if err != nil || !again.Private.Equal(k.Private) {
			t.Error(err)
		}
	})
	t.Run("refuses another text, and does not show it", func(t *testing.T) {
		for _, bad := range []string{"", "x", strings.Replace(draftKey, "MIIC", "AAAA", 1)} {
			if _, err := ParseKey("k", bad); err == nil || strings.Contains(err.Error(), "AAAA") {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

func FuzzASignatureHeaderIsReadOrRefused(f *testing.F) {
	f.Add(`keyId="Test",algorithm="rsa-sha256",headers="(request-target) host date digest",`+
		`signature="AAAA"`, "")
	f.Add("sig1=:AAAA:",
		`sig1=("@method" "@target-uri" "content-digest");created=1618884473;keyid="k"`)
	key, _ := base64.StdEncoding.DecodeString("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")
	public := func(string) (crypto.PublicKey, error) { return ed25519.PublicKey(key), nil }
	f.Fuzz(func(t *testing.T, signature, input string) {
		r := draftRequest()
		r.Header.Set("Signature", signature)
		if input != "" {
			r.Header.Set("Signature-Input", input)
		}
		if _, err := Verify(r, []byte(draftBody), public, time.Unix(1388957500, 0)); err == nil {
			t.Error("an invented signature verifies")
		}
	})
}

func TestSignedGET(t *testing.T) {
	key := fresh(t)
	r, err := http.NewRequest("GET", "https://b.example/users/bob", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("If-None-Match", `"v1"`)
	if err := Sign(r, nil, key, time.Now()); err != nil {
		t.Fatal(err)
	}
	t.Run("stays valid when a cache removes a condition", func(t *testing.T) {
		r.Header.Del("If-None-Match")
		if _, err := Verify(r, nil, keys(key), time.Now()); err != nil {
			t.Error(err)
		}
	})
}
