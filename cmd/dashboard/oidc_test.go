package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestOIDC(t *testing.T) {
	directory := t.TempDir()
	err := os.WriteFile(filepath.Join(directory, "dashboard_oidc_secret"), []byte("hush\n"), 0o400)
	if err != nil {
		t.Fatal(err)
	}
	credentials := &env.Reader{Lookup: func(key string) (string, bool) {
		value := map[string]string{"CREDENTIALS_DIRECTORY": directory}[key]
		return value, value != ""
	}}
	provider := []string{"--oidc-issuer", "https://id.example", "--oidc-client-id", "kyu",
		"--oidc-url", "https://kyu.example"}
	t.Run("is read from flags and the credential", func(t *testing.T) {
		s, err := readSettings(append(provider, "--oidc-role-claim", "groups", "--oidc-roles",
			"ops=operator,root=admin", "--oidc-role", "viewer", "--listen", "0.0.0.0:9292"),
			credentials)
		if err != nil {
			t.Fatal(err)
		}
		o := s.access.OIDC
		if o.Secret != "hush" || o.Roles["ops"] != access.Operator ||
			o.Roles["root"] != access.Admin || o.Role != access.Viewer || o.RoleClaim != "groups" {
			t.Errorf("%+v", o)
		}
	})
	t.Run("is none without a provider, also with a credential", func(t *testing.T) {
		s, err := readSettings(nil, credentials)
		if err != nil || s.access.OIDC != nil {
			t.Error(s, err)
		}
	})
	t.Run("names what is wrong", func(t *testing.T) {
		for want, args := range map[string][]string{
			"--oidc-role also wants --oidc-issuer": {"--oidc-role", "admin"},
			`--oidc-roles x: role "boss"`:          append(provider, "--oidc-roles", "x=boss"),
			`--oidc-role: role "boss"`:             append(provider, "--oidc-role", "boss"),
			"nobody would have a role":             provider,
			"no such file": append(provider, "--oidc-role", "viewer", "--oidc-secret-file",
				filepath.Join(directory, "none")),
		} {
			code, _, text := call(t.Context(), nil, args...)
			if code != 2 || !strings.Contains(text, want) {
				t.Errorf("%v: %d, no %q in %s", args, code, want, text)
			}
		}
	})
	t.Run("is asked at the start, and the error says what it answered", func(t *testing.T) {
		provider := httptest.NewServer(http.NotFoundHandler())
		defer provider.Close()
		code, _, text := call(t.Context(), map[string]string{"REDIS_URL": redistest.Start(t).URL},
			"--oidc-issuer", provider.URL, "--oidc-client-id", "kyu", "--oidc-url",
			"http://localhost:9292", "--oidc-role", "viewer")
		if code != 1 || !strings.Contains(text, "--oidc-issuer "+provider.URL) ||
			!strings.Contains(text, "404") {
			t.Errorf("%d %s", code, text)
		}
	})
}
