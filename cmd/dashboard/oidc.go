package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/spf13/pflag"
)

// oidc are the flags of the OpenID provider.
type oidc struct {
	access.OIDC
	secretFile string
	roles      map[string]string
	role       string
	given      func(flag string) bool
}

func (o *oidc) flags(f *pflag.FlagSet) {
	f.StringVar(&o.Issuer, "oidc-issuer", "", "the `ADDRESS` of an OpenID provider that signs "+
		"persons in, such as https://id.example")
	f.StringVar(&o.ClientID, "oidc-client-id", "", "the `NAME` by which it knows the dashboard")
	f.StringVar(&o.secretFile, "oidc-secret-file", "", "a `FILE` with the secret of the client, "+
		"if it has one")
	f.StringVar(&o.URL, "oidc-url", "", "the `ORIGIN` by which people open the dashboard, such as "+
		"https://kyu.example; the provider sends them back to ORIGIN/BASE/oidc/callback")
	f.StringSliceVar(&o.Scopes, "oidc-scopes", []string{"profile", "email"},
		"the `SCOPES` that are asked for beside openid")
	f.StringVar(&o.NameClaim, "oidc-name-claim", "preferred_username", "the `CLAIM` with the name "+
		"of the person")
	f.StringVar(&o.RoleClaim, "oidc-role-claim", "", "the `CLAIM` with the role, or with a list, "+
		"such as groups or realm_access.roles")
	f.StringToStringVar(&o.roles, "oidc-roles", nil, "the roles by the values of that claim, "+
		"`VALUE=ROLE,...`; without --oidc-role-claim by the name of the person")
	f.StringVar(&o.role, "oidc-role", "", "the `ROLE` of all other persons of the provider "+
		"(default: none, they are refused)")
	o.given = f.Changed
}

// read returns the settings, or nil without a provider.
func (o *oidc) read() (*access.OIDC, error) {
	if o.Issuer == "" {
		for _, flag := range []string{"oidc-client-id", "oidc-secret-file", "oidc-url",
			"oidc-scopes", "oidc-name-claim", "oidc-role-claim", "oidc-roles", "oidc-role"} {
			if o.given(flag) {
				return nil, fmt.Errorf("--%s also wants --oidc-issuer", flag)
			}
		}
		return nil, nil
	}
	var problems []error
	o.Roles = map[string]access.Role{}
	for _, value := range slices.Sorted(maps.Keys(o.roles)) {
		role, err := access.ParseRole(o.roles[value])
		if err != nil {
			problems = append(problems, fmt.Errorf("--oidc-roles %s: %w", value, err))
		}
		o.Roles[value] = role
	}
	if o.role != "" {
		role, err := access.ParseRole(o.role)
		if err != nil {
			problems = append(problems, fmt.Errorf("--oidc-role: %w", err))
		}
		o.Role = role
	}
	if o.secretFile != "" {
		secret, err := access.ReadSecret(o.secretFile)
		problems = append(problems, err)
		o.Secret = secret
	}
	return &o.OIDC, errors.Join(problems...)
}
