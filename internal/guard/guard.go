// Package guard keeps HTTP requests to URLs from strangers away from private networks. It
// checks the address of each connection at the moment when it is made, so a name that
// changes its address, and a redirect, cannot avoid the check.
package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/internal/env"
)

// ErrForbidden is in every error of a refusal. Another attempt would not help.
var ErrForbidden = errors.New("forbidden destination")

// forbidden lists the addresses that are not the public internet: the IANA registries of
// special-purpose addresses, and addresses that contain another one (6to4, Teredo, NAT64).
var forbidden = prefixes("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 " +
	"172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 " +
	"192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 " +
	"240.0.0.0/4 " +
	"::/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 " +
	"5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8")

func prefixes(text string) (list []netip.Prefix) {
	for _, p := range strings.Fields(text) {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

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

// Guard decides to which addresses connections may go. The zero Guard allows only the public
// internet.
type Guard struct {
	allowed []netip.Prefix
}

// FromEnv makes a Guard from ALLOWED_PRIVATE_ADDRESSES: addresses and ranges that are
// allowed too, separated by commas. Problems go to r.
func FromEnv(r *env.Reader) *Guard {
	text := r.String("allowed private addresses", "", "ALLOWED_PRIVATE_ADDRESSES")
	g, err := New(text)
	if err != nil {
		r.Problem("ALLOWED_PRIVATE_ADDRESSES=%q: %w", text, err)
	}
	return g
}

// New makes a Guard that also allows a list of addresses and ranges, such as
// "192.168.1.5, 10.0.0.0/8". The error names the part that is neither.
func New(allowed string) (*Guard, error) {
	g := &Guard{}
	for _, part := range strings.FieldsFunc(allowed, func(r rune) bool {
		return r == ',' || r == ' '
	}) {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			a, err := netip.ParseAddr(part)
			if err != nil {
				return g, fmt.Errorf("%q is neither an address nor a range, such as 192.168.1.5 "+
					"or 10.0.0.0/8", part)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		g.allowed = append(g.allowed, p.Masked())
	}
	return g, nil
}

// Check returns an error if no connection may go to an address. An IPv4 address that is
// mapped into IPv6 (::ffff:a.b.c.d) is checked as IPv4; one in the older compatible form
// (::a.b.c.d) is forbidden.
func (g *Guard) Check(a netip.Addr) error {
	if !a.IsValid() || a.Zone() != "" {
		return fmt.Errorf("%w: %v", ErrForbidden, a)
	}
	a = a.Unmap()
	for _, p := range g.allowed {
		if p.Contains(a) {
			return nil
		}
	}
	for _, p := range forbidden {
		if p.Contains(a) {
			return fmt.Errorf("%w: %v is in %v, which is not public (ALLOWED_PRIVATE_ADDRESSES "+
				"can open it)", ErrForbidden, a, p)
		}
	}
	return nil
}

// DialContext connects to an allowed address of a host, within five seconds.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return g.DialThrough(nil)(ctx, network, address)
}

// DialThrough returns a DialContext that uses a resolver; nil is the system's.
func (g *Guard) DialThrough(r *net.Resolver) func(ctx context.Context, network,
	address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second,
		ControlContext: g.control, Resolver: r}
	return d.DialContext
}

// control checks the resolved address. The dialer calls it before it connects.
func (g *Guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: %s is not TCP", ErrForbidden, network)
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrForbidden, address)
	}
	return g.Check(a.Addr())
}

// ParseURL parses and checks a URL from a stranger. Its scheme must be http or https; it must
// have a host and no user, and its port must not belong to another protocol.
func ParseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL cannot be read", ErrForbidden)
	}
	return u, CheckURL(u)
}

// CheckURL is the check of ParseURL, for redirects.
func CheckURL(u *url.URL) error {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: the scheme %.20q: want http or https", ErrForbidden, u.Scheme)
	case u.User != nil:
		return fmt.Errorf("%w: the URL has a user in it", ErrForbidden)
	case host == "" || u.Opaque != "":
		return fmt.Errorf("%w: the URL has no host", ErrForbidden)
	case strings.HasSuffix(host, ".onion") || strings.HasSuffix(host, ".i2p"):
		return fmt.Errorf("%w: %s is a hidden service", ErrForbidden, host)
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || ports[uint16(n)] {
			return fmt.Errorf("%w: port %s is not for HTTP", ErrForbidden, port)
		}
	}
	return nil
}
