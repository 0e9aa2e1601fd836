package live

import (
	"net"
	"net/http"
	"syscall"
	"testing"
)

func TestServer(t *testing.T) {
	t.Parallel()
	t.Run("bounds what the kernel keeps for a client", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		Server(http.NotFoundHandler()).ConnContext(t.Context(), conn)
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		if err := raw.Control(func(fd uintptr) {
			size, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
		}); err != nil {
			t.Fatal(err)
		}
		// Linux doubles the size, for its own records.
		if err != nil || size != 2*kernelBuffer {
			t.Errorf("%d bytes, %v", size, err)
		}
	})
	t.Run("gives a client little time for its request, and much for the stream",
		func(t *testing.T) {
			s := Server(http.NotFoundHandler())
			if s.ReadHeaderTimeout <= 0 || s.WriteTimeout != 0 || s.ReadTimeout != 0 {
				t.Errorf("%v, %v, %v", s.ReadHeaderTimeout, s.WriteTimeout, s.ReadTimeout)
			}
		})
}
