package monitor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// Listener is where a Monitor is served.
type Listener struct{ net.Listener }

// ErrPublic refuses an address that others can reach: what it shows has no
// password.
var ErrPublic = errors.New("it can be reached from elsewhere, and has no password: use " +
	"127.0.0.1:PORT, [::1]:PORT or unix:/PATH, or say --http-public")

// CheckAddress says what is wrong with an address, HOST:PORT or unix:/PATH,
// without listening on it.
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

// Listen listens on an address that CheckAddress takes. A socket that a dead
// process has left behind is replaced; one that is alive is not.
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
		return nil, fmt.Errorf("%w: is another worker there? each needs an address of its own", err)
	}
	return &Listener{l}, nil
}
