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
	"strings"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/internal/env"
)

// ErrForbidden is in every error of a refusal. Another attempt would not help.
var ErrForbidden = errors.New("forbidden destination")

// forbidden lists the addresses that are not the public internet: the IANA registries of
// special-purpose addresses, and addresses that contain another one (6to4, Teredo, local
// NAT64).
var forbidden = prefixes("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 " +
	"172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 " +
	"192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 " +
	"240.0.0.0/4 " +
	"::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 " +
	"5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8")

// nat64 is the range through which a server that has only IPv6 reaches IPv4 (RFC 6052). The
// last four bytes are the IPv4 address.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(text string) (list []netip.Prefix) {
	for _, p := range strings.Fields(text) {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}

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
// mapped into IPv6 (::ffff:a.b.c.d), or that is reached through NAT64 (64:ff9b::a.b.c.d), is
// checked as IPv4; one in the older compatible form (::a.b.c.d) is forbidden.
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
	if nat64.Contains(a) {
		raw := a.As16()
		return g.Check(netip.AddrFrom4([4]byte(raw[12:])))
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
