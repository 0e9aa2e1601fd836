package jobs

import (
	"context"
	"net"
	"net/http"
)

// ConnectTo makes a client that connects to one address, whatever host a URL names. It
// needs no DNS, and TLS accepts the certificates that t accepts.
func ConnectTo(address string, t *http.Transport, agent string) *HTTP {
	h := NewHTTP(nil, agent)
	h.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	if t != nil {
		h.transport.TLSClientConfig = t.TLSClientConfig.Clone()
	}
	return h
}
