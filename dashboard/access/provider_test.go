package access

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// clientSecret is that of the dashboard at the provider of the tests.
const clientSecret = "a secret & more"

// idp is a small OpenID provider: it knows one client, signs in everybody as the same person, and
// checks what a real one checks of a code: its client, its redirect, its verifier of PKCE, and that
// it is used once.
type idp struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu     sync.Mutex
	claims map[string]any // of the person, and in place of the others of the ID token
	signer *rsa.PrivateKey
	deny   string
	codes  map[string]url.Values // what the browser asked for
}

func startIDP(t *testing.T) *idp {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{key: key, signer: key, claims: map[string]any{}, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /keys", p.keys)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// person sets the claims of the person.
func (p *idp) person(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims = claims
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func (p *idp) discovery(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize",
		"token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"}})
}

func (p *idp) keys(w http.ResponseWriter, _ *http.Request) {
	text := base64.RawURLEncoding.EncodeToString
	answerJSON(w, map[string]any{"keys": []any{map[string]string{"kty": "RSA", "alg": "RS256",
		"use": "sig", "kid": "1", "n": text(p.key.N.Bytes()),
		"e": text(big.NewInt(int64(p.key.E)).Bytes())}}})
}

func (p *idp) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	back := url.Values{"state": {q.Get("state")}}
	if p.deny != "" {
		back.Set("error", p.deny)
		back.Set("error_description", "<b>no</b>")
	} else {
		code := rand.Text()
		p.codes[code] = q
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	id, secret, _ := r.BasicAuth()
	if decoded, err := url.QueryUnescape(secret); err == nil {
		secret = decoded
	}
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if q == nil || q.Get("client_id") != id || secret != clientSecret ||
		q.Get("redirect_uri") != r.PostFormValue("redirect_uri") ||
		q.Get("code_challenge_method") != "S256" ||
		q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
		w.WriteHeader(http.StatusBadRequest)
		answerJSON(w, map[string]string{"error": "invalid_grant"})
		return
	}
	now := time.Now().Unix()
	claims := map[string]any{"iss": p.URL, "aud": id, "sub": "1", "iat": now, "exp": now + 60,
		"nonce": q.Get("nonce")}
	maps.Copy(claims, p.claims)
	answer := map[string]any{"access_token": "a", "token_type": "Bearer"}
	if claims["sub"] != nil {
		answer["id_token"] = p.sign(claims)
	}
	answerJSON(w, answer)
}

// sign makes an ID token.
func (p *idp) sign(claims map[string]any) string {
	text := base64.RawURLEncoding.EncodeToString
	body, _ := json.Marshal(claims)
	signed := text([]byte(`{"alg":"RS256","kid":"1"}`)) + "." + text(body)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.signer, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + text(signature)
}
