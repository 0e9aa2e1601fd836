package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/kyujobs/kyu/test/kit/redistest"
)

func TestNotify(t *testing.T) {
	t.Run("tells systemd that it serves, and that it stops", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "notify")
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan int, 1)
		environment := map[string]string{"REDIS_URL": redistest.Start(t).URL, "NOTIFY_SOCKET": path}
		address := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
		go func() {
			code, _, _ := call(ctx, environment, "--listen", address)
			ended <- code
		}()
		for _, want := range []string{"READY=1", "STOPPING=1"} {
			buf := make([]byte, 100)
			n, err := socket.Read(buf)
			if got := string(buf[:n]); err != nil || got != want {
				t.Fatalf("%q, %v, want %s", got, err, want)
			}
			if conn, err := net.Dial("tcp", address); want == "READY=1" && err != nil {
				t.Errorf("it is ready, but does not listen: %v", err)
			} else if err == nil {
				conn.Close()
			}
			stop()
		}
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}
