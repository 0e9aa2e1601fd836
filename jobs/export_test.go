package jobs

import (
	"context"
	"crypto/tls"
	"net"
)

// ConnectTo makes a client that connects to one address, whatever host a URL names, so it
// needs no DNS. config says which certificates it trusts.
func ConnectTo(address string, config *tls.Config, agent string) *HTTP {
	h := NewHTTP(nil, agent)
	h.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	h.transport.TLSClientConfig = config
	return h
}

// IDOf reads the id of an object.
var IDOf = idOf
