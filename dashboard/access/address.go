package access

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// peer returns the address that a request's connection comes from. It is the zero Addr for a Unix
// socket (unix is true) and for an address that is none.
func peer(r *http.Request) (addr netip.Addr, unix bool) {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok &&
		local.Network() == "unix" {
		return netip.Addr{}, true
	}
	return parseAddr(r.RemoteAddr), false
}

// parseAddr reads an address with or without a port, otherwise it returns the zero Addr.
func parseAddr(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// hostOf returns the host of HOST, HOST:PORT or [HOST]:PORT.
func hostOf(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]")
}

// isLoopback reports whether a host is localhost or a loopback address.
func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || parseAddr(host).IsLoopback()
}

// sources are the addresses that requests of trusted proxies come from.
type sources struct {
	prefixes []netip.Prefix
	unix     bool
}

// parseSources reads addresses, CIDR ranges and "unix", which stands for a Unix socket.
func parseSources(list []string) (s sources, err error) {
	var problems []error
	for _, text := range list {
		if text == "unix" {
			s.unix = true
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if addr := parseAddr(text); err != nil && addr.IsValid() {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		switch {
		case err != nil:
			err = fmt.Errorf("--proxy-from %q: want an address, ADDRESS/BITS or unix", text)
		case prefix.Bits() == 0:
			err = fmt.Errorf("--proxy-from %q trusts every address", text)
		case prefix != prefix.Masked():
			err = fmt.Errorf("--proxy-from %q: want %s", text, prefix.Masked())
		}
		problems = append(problems, err)
		s.prefixes = append(s.prefixes, prefix)
	}
	return s, errors.Join(problems...)
}

func (s sources) has(addr netip.Addr) bool {
	return slices.ContainsFunc(s.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// sent reports whether a trusted proxy sent the request.
func (s sources) sent(r *http.Request) bool {
	addr, unix := peer(r)
	return unix && s.unix || s.has(addr)
}

// client returns the client of a request, for limits: the IPv4 address, or the first 64 bits of
// the IPv6 address, because a household has so many. X-Forwarded-For counts only from trusted
// proxies: each appends the address that it was asked from, so the last one that is no trusted
// proxy is the client.
func (s sources) client(r *http.Request) string {
	addr, _ := peer(r)
	if s.sent(r) {
		chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, text := range slices.Backward(chain) {
			next := parseAddr(strings.TrimSpace(text))
			if !next.IsValid() {
				break
			}
			if addr = next; !s.has(addr) {
				break
			}
		}
	}
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	if !addr.IsValid() {
		return "unix"
	}
	return addr.String()
}

// from names the address of a request in messages.
func from(r *http.Request) string {
	addr, unix := peer(r)
	if unix {
		return "unix"
	}
	if !addr.IsValid() {
		return short(r.RemoteAddr)
	}
	return addr.String()
}
