package guard

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ports lists ports of other protocols than HTTP, whose servers may act on a part of a
// request: ports from the WHATWG's Fetch Standard, and ports of databases.
var ports = map[uint16]bool{1: true, 7: true, 9: true, 11: true, 13: true, 15: true, 17: true,
	19: true, 20: true, 21: true, 22: true,
	23: true, 25: true, 37: true, 42: true, 43: true, 53: true, 69: true, 77: true, 79: true,
	87: true, 95: true, 101: true, 102: true,
	103: true, 104: true, 109: true, 110: true, 111: true, 113: true, 115: true, 117: true,
	119: true, 123: true, 135: true, 137: true,
	139: true, 143: true, 161: true, 179: true, 389: true, 427: true, 465: true, 512: true,
	513: true, 514: true, 515: true, 526: true,
	530: true, 531: true, 532: true, 540: true, 548: true, 554: true, 556: true, 563: true,
	587: true, 601: true, 636: true, 989: true,
	990: true, 993: true, 995: true, 1433: true, 1521: true, 1719: true, 1720: true, 1723: true,
	2049: true, 2375: true, 3306: true,
	3659: true, 4045: true, 5060: true, 5061: true, 5432: true, 6000: true, 6379: true, 6432: true,
	6566: true, 6665: true, 6666: true,
	6667: true, 6668: true, 6669: true, 6679: true, 6697: true, 10080: true, 11211: true,
	26379: true, 27017: true}

// ParseURL reads and checks a URL from a stranger, and returns its canonical form. Its
// scheme must be http or https; it must have a host and no user, and its port must not
// belong to another protocol.
//
// In the canonical form the host is in lower case and in ASCII (IDN as A-labels), without
// the port of the scheme; the path begins with a slash and has no dot segments; every
// character that may not be on the wire is percent-encoded. So two notations of a URL
// compare equal, and the host that is signed is the host that is sent.
func ParseURL(raw string) (*url.URL, error) { return ResolveURL(nil, raw) }

// ResolveURL is ParseURL for a URL that may be relative to base, such as that of a redirect.
func ResolveURL(base *url.URL, raw string) (*url.URL, error) {
	u, err := url.Parse(escape(strings.Trim(raw, " \t\r\n\f")))
	if err != nil {
		return nil, fmt.Errorf("%w: the URL cannot be read", ErrForbidden)
	}
	if base == nil && strings.Contains(u.Path, "/.") {
		base = u
	}
	if base != nil {
		u = base.ResolveReference(u) // also removes dot segments
	}
	if err := check(u); err != nil {
		return nil, err
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Host, err = authority(u)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// check refuses URLs that no request may go to, whatever their host is.
func check(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: the scheme %.20q: want http or https", ErrForbidden, u.Scheme)
	case u.User != nil:
		return fmt.Errorf("%w: the URL has a user in it", ErrForbidden)
	case u.Hostname() == "" || u.Opaque != "":
		return fmt.Errorf("%w: the URL has no host", ErrForbidden)
	}
	return nil
}

// authority returns the canonical host of a URL, with its port if that is not the port of
// the scheme.
func authority(u *url.URL) (string, error) {
	host, err := canonicalHost(u.Hostname())
	if err != nil {
		return "", err
	}
	text := u.Port()
	if text == "" {
		return host, nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || ports[uint16(port)] {
		return "", fmt.Errorf("%w: port %s is not for HTTP", ErrForbidden, text)
	}
	if u.Scheme == "http" && port == 80 || u.Scheme == "https" && port == 443 {
		return host, nil
	}
	return host + ":" + strconv.FormatUint(port, 10), nil
}

// names maps the names of hosts as browsers do (UTS 46, not transitional).
var names = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckJoiners(true),
	idna.CheckHyphens(false), idna.StrictDomainName(false), idna.Transitional(false))

// canonicalHost returns the form in which a host is resolved, sent and compared.
func canonicalHost(host string) (string, error) {
	if strings.Contains(host, ":") {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" {
			return "", fmt.Errorf("%w: %.60q is no address", ErrForbidden, host)
		}
		return "[" + a.String() + "]", nil
	}
	if !isASCII(host) {
		mapped, err := names.ToASCII(host)
		if err != nil || !utf8.ValidString(host) {
			return "", fmt.Errorf("%w: the host %.60q is no name", ErrForbidden, host)
		}
		host = mapped
	}
	host = strings.ToLower(strings.TrimRight(host, "."))
	switch {
	case host == "" || strings.ContainsFunc(host, notInName):
		return "", fmt.Errorf("%w: the host %.60q is no name", ErrForbidden, host)
	case strings.HasSuffix(host, ".onion") || strings.HasSuffix(host, ".i2p"):
		return "", fmt.Errorf("%w: %s is a hidden service", ErrForbidden, host)
	}
	return host, nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// escape percent-encodes the characters that a URL may not contain (RFC 3986), and a
// percent sign that begins no escape. It leaves control characters: no URL has them.
func escape(raw string) string {
	first := 0
	for first < len(raw) && !mustEscape(raw, first) {
		first++
	}
	if first == len(raw) {
		return raw
	}
	var b strings.Builder
	b.WriteString(raw[:first])
	for i := first; i < len(raw); i++ {
		if mustEscape(raw, i) {
			fmt.Fprintf(&b, "%%%02X", raw[i])
		} else {
			b.WriteByte(raw[i])
		}
	}
	return b.String()
}

// mustEscape reports whether the byte at i has to be percent-encoded.
func mustEscape(raw string, i int) bool {
	switch c := raw[i]; {
	case c == '%':
		return i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2])
	default:
		return c >= 0x80 || strings.IndexByte(" \"<>\\^`{|}", c) >= 0
	}
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
