package monitor_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/monitor"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestAddress(t *testing.T) {
	for address, private := range map[string]bool{"127.0.0.1:0": true, "localhost:1": true,
		"[::1]:1": true, "unix:/x": true, "127.9.9.9:1": true,
		":9394": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "example.com:1": false,
		"unix:x": false, "nonsense": false} {
		t.Run(fmt.Sprintf("%s is accepted: %v", address, private), func(t *testing.T) {
			if err := monitor.CheckAddress(address, false); (err == nil) != private {
				t.Error(err)
			}
		})
	}
	t.Run("that others can reach is accepted with public", func(t *testing.T) {
		if err := monitor.CheckAddress("0.0.0.0:1", true); err != nil {
			t.Error(err)
		}
	})
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http")
	first, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("on which a process listens is not replaced", func(t *testing.T) {
		if _, err := monitor.Listen("unix:"+path, false); err == nil ||
			!strings.Contains(err.Error(), "its own address") {
			t.Errorf("%v", err)
		}
	})
	t.Run("of a dead process is replaced", func(t *testing.T) {
		first.SetUnlinkOnClose(false)
		first.Close()
		l, err := monitor.Listen("unix:"+path, false)
		if err != nil {
			t.Fatal(err)
		}
		m := monitor.New(redistest.Start(t).Store())
		ended := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- m.Serve(ctx, l) }()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			}}}
		r, err := client.Get("http://worker/livez")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		cancel()
		if err := <-ended; err != nil || r.StatusCode != 200 {
			t.Error(r.StatusCode, err)
		}
	})
}
