package sdnotify

import (
	"errors"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func listen(t *testing.T) (*net.UnixConn, *Notifier) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket, New(func(string) string { return path })
}

func TestSend(t *testing.T) {
	t.Run("sends the states in one datagram", func(t *testing.T) {
		socket, n := listen(t)
		if err := n.Send("READY=1", "STATUS=ok"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		size, err := socket.Read(buf)
		if got := string(buf[:size]); err != nil || got != "READY=1\nSTATUS=ok" {
			t.Errorf("%q %v", got, err)
		}
	})
	t.Run("does not wait for a manager that does not read", func(t *testing.T) {
		_, n := listen(t)
		var err error
		for i := 0; err == nil && i < 100_000; i++ { // until the queue of the socket is full
			err = n.Send(strings.Repeat("x", 1000))
		}
		if !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("error %v, want EAGAIN", err)
		}
	})
	t.Run("says that the socket is missing", func(t *testing.T) {
		n := New(func(string) string { return filepath.Join(t.TempDir(), "gone") })
		if err := n.Send("READY=1"); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("error %v, want ENOENT", err)
		}
	})
}
