package live

import (
	"context"
	"net"
	"net/http"
	"time"
)

// kernelBuffer is what the kernel keeps for a client that takes nothing, in bytes. By default
// Linux lets it grow to 4 MiB.
const kernelBuffer = 64 << 10

// Server returns a server for a listener that the stream has for itself, with the limits that fit
// many long answers. The handler is the Hub, or what guards it.
func Server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ConnContext: limitBuffer}
}

func limitBuffer(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(kernelBuffer) // on an error the connection keeps the kernel's default
	}
	return ctx
}
