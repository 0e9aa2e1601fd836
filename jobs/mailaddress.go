package jobs

import (
	"fmt"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"
)

// mailAddress returns an address, with its name if it has one, as mail servers take it: the domain
// in A-labels (RFC 5890). A server answers 553 to any other domain.
func mailAddress(text string) (string, error) {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return "", err
	}
	at := strings.LastIndexByte(a.Address, '@')
	domain, err := mailDomain(a.Address[at+1:])
	if err != nil {
		return "", err
	}
	a.Address = a.Address[:at+1] + domain
	return a.String(), nil
}

// mailDomain returns a domain in A-labels. One in ASCII stays as it is.
func mailDomain(domain string) (string, error) {
	if !strings.ContainsFunc(domain, func(r rune) bool { return r >= 0x80 }) {
		return domain, nil
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("the domain %q is no name: %w", domain, err)
	}
	return ascii, nil
}

// given returns a list of text, or an empty list for an empty text.
func given(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
