package access

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// providerTime is how long a provider may take for an answer.
const providerTime = 10 * time.Second

// OIDC says which OpenID provider signs persons in, and what they may do.
type OIDC struct {
	// Issuer is the address of the provider, such as https://id.example/realms/main. Below it is
	// /.well-known/openid-configuration.
	Issuer string
	// ClientID is the name by which the provider knows the dashboard.
	ClientID string
	// Secret is that of the client, or "" if it has none.
	Secret string
	// URL is the origin by which people open the dashboard, such as https://kyu.example. The
	// provider must allow the redirect to URL + Base + "/oidc/callback".
	URL string
	// Scopes are asked for beside openid. Its default is profile and email.
	Scopes []string
	// NameClaim is the claim of the ID token with the person's name. "" is preferred_username.
	NameClaim string
	// RoleClaim is the claim with the role, a text or a list of texts, such as groups or
	// realm_access.roles. Of several roles the greatest counts. "" means that there is none.
	RoleClaim string
	// Roles are the roles by the values of RoleClaim. Without RoleClaim they are by name. If it is
	// empty, the values of RoleClaim are the names of roles.
	Roles map[string]Role
	// Role is the role of all other persons whom the provider knows. Nobody may do nothing.
	Role Role
}

// check returns everything that is wrong with the settings.
func (o *OIDC) check() error {
	var problems []error
	for _, a := range []struct{ flag, text, path string }{
		{"--oidc-issuer", o.Issuer, "https://id.example"},
		{"--oidc-url", o.URL, "https://kyu.example"}} {
		u, err := url.Parse(a.text)
		if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil ||
			u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
			problems = append(problems, fmt.Errorf("%s %q: want an address such as %s; http:// is "+
				"possible only for this machine", a.flag, a.text, a.path))
		} else if a.flag == "--oidc-url" && u.Path != "" {
			problems = append(problems, fmt.Errorf("--oidc-url %q: want no path: --base names it",
				a.text))
		}
	}
	if o.ClientID == "" {
		problems = append(problems, errors.New("--oidc-issuer also wants --oidc-client-id"))
	}
	for _, role := range append(slices.Collect(maps.Values(o.Roles)), o.Role) {
		if role < Nobody || role > Admin {
			problems = append(problems, fmt.Errorf("%v is no role", role))
		}
	}
	if o.RoleClaim == "" && len(o.Roles) == 0 && o.Role == Nobody {
		problems = append(problems, errors.New("nobody would have a role: give --oidc-role-claim, "+
			"--oidc-roles or --oidc-role"))
	}
	return errors.Join(problems...)
}

// provider is a provider whose addresses and keys are known after connect.
type provider struct {
	OIDC
	mark     string // changes with the settings, and ends the sessions of earlier ones
	client   *http.Client
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier // nil before connect
}

func newProvider(o OIDC, base string) *provider {
	if o.NameClaim == "" {
		o.NameClaim = "preferred_username"
	}
	if o.Scopes == nil {
		o.Scopes = []string{"profile", "email"}
	}
	text, _ := json.Marshal(struct { // texts and numbers, with the keys of maps in order
		Issuer, ID, Name, Claim string
		Roles                   map[string]Role
		Role                    Role
	}{o.Issuer, o.ClientID, o.NameClaim, o.RoleClaim, o.Roles, o.Role})
	sum := sha256.Sum256(text)
	return &provider{OIDC: o, mark: base64.RawURLEncoding.EncodeToString(sum[:16]),
		client: &http.Client{Timeout: providerTime},
		oauth: oauth2.Config{ClientID: o.ClientID, ClientSecret: o.Secret,
			RedirectURL: o.URL + base + callbackPath,
			Scopes:      append([]string{oidc.ScopeOpenID}, o.Scopes...)}}
}

// Connect asks the OpenID provider, if there is one, for its addresses. It is called once, before
// requests are served: without it nobody can sign in there. The error says what the provider
// answered.
func (a *Access) Connect(ctx context.Context) error {
	p := a.oidc
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), providerTime)
	defer cancel()
	found, err := oidc.NewProvider(ctx, p.Issuer)
	if err != nil {
		return fmt.Errorf("--oidc-issuer %s: its /.well-known/openid-configuration cannot be "+
			"used: %w", p.Issuer, err)
	}
	p.oauth.Endpoint = found.Endpoint()
	p.verifier = found.VerifierContext(oidc.ClientContext(context.Background(), p.client),
		&oidc.Config{ClientID: p.ClientID})
	return nil
}

// context returns a context in which the provider is asked.
func (p *provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// host names the provider in texts.
func (p *provider) host() string {
	u, _ := url.Parse(p.Issuer) // check has parsed it
	return u.Host
}

// isSecure reports whether people open the dashboard over HTTPS.
func (p *provider) isSecure() bool { return strings.HasPrefix(p.URL, "https:") }
