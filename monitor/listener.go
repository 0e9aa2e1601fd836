package monitor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// Listener is a socket that passed CheckAddress, for Monitor.Serve.
type Listener struct{ net.Listener }

// ErrPublic means that other machines can reach an address: a Monitor asks for no password.
var ErrPublic = errors.New("other machines can reach it, and it asks for no password: use " +
	"127.0.0.1:PORT, [::1]:PORT or unix:/PATH, or allow it with --http-public")

// CheckAddress returns an error for an address that is neither HOST:PORT nor unix:/PATH. If
// public is false, it also returns ErrPublic for a host that is not a loopback address or
// localhost. It does not listen.
func CheckAddress(address string, public bool) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%q: want unix:/ABSOLUTE/PATH", address)
		}
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q: want HOST:PORT or unix:/PATH", address)
	}
	if ip := net.ParseIP(host); !public && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q: %w", address, ErrPublic)
	}
	return nil
}

// Listen listens on an address, which it checks first (see CheckAddress). A Unix socket on
// which no process listens any more is replaced.
func Listen(address string, public bool) (*Listener, error) {
	if err := CheckAddress(address, public); err != nil {
		return nil, err
	}
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
		if conn, err := net.Dial(network, path); errors.Is(err, syscall.ECONNREFUSED) {
			os.Remove(path)
		} else if err == nil {
			conn.Close()
		}
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("%w: does another worker use it? Each needs its own address", err)
	}
	return &Listener{l}, nil
}
