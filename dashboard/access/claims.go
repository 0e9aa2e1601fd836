package access

import "strings"

// claims are what an ID token says about a person.
type claims map[string]any

// value returns a claim. In a name with dots, such as realm_access.roles, each dot may lead into an
// object.
func (c claims) value(name string) any {
	if v, there := c[name]; there {
		return v
	}
	first, rest, dotted := strings.Cut(name, ".")
	inner, isObject := c[first].(map[string]any)
	if !dotted || !isObject {
		return nil
	}
	return claims(inner).value(rest)
}

// texts returns a claim that is a text or a list of texts.
func (c claims) texts(name string) (list []string) {
	switch v := c.value(name).(type) {
	case string:
		list = append(list, v)
	case []any:
		for _, item := range v {
			if text, ok := item.(string); ok {
				list = append(list, text)
			}
		}
	}
	return list
}

// name returns the person's name, or "" if there is none that can be used: an address of mail
// counts unless the provider says that it has not checked it.
func (p *OIDC) name(c claims) string {
	name, _ := c.value(p.NameClaim).(string)
	if verified, said := c["email_verified"].(bool); p.NameClaim == "email" && said && !verified {
		return ""
	}
	if len(name) > maxProxyName || strings.TrimSpace(name) != name {
		return ""
	}
	return name
}

// roleOf returns the greatest role that the settings give to a person.
func (p *OIDC) roleOf(c claims) Role {
	best, keys := p.Role, []string{p.name(c)}
	if p.RoleClaim != "" {
		keys = c.texts(p.RoleClaim)
	}
	for _, key := range keys {
		role, mapped := p.Roles[key]
		if len(p.Roles) == 0 && p.RoleClaim != "" {
			role, _ = ParseRole(key)
		} else if !mapped {
			role = Nobody
		}
		best = max(best, role)
	}
	return best
}
