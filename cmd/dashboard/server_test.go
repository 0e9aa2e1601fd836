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
	redis, key := redistest.Start(t).URL, keyFile(t)
	for what, args := range map[string][]string{
		"the pages":  {"--listen"},
		"the stream": {"--stream-only", "--key-file", key, "--stream-listen"},
	} {
		t.Run("tells systemd that it serves, and that it stops: "+what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "notify")
			socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path,
				Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan int, 1)
			address := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t))
			go func() {
				code, _, _ := call(ctx, map[string]string{"REDIS_URL": redis,
					"NOTIFY_SOCKET": path}, append(args, address)...)
				ended <- code
			}()
			told(t, socket, "READY=1")
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatalf("it is ready, but does not listen: %v", err)
			}
			conn.Close()
			stop()
			told(t, socket, "STOPPING=1")
			if code := <-ended; code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// told checks the next state that systemd is told.
func told(t *testing.T, socket *net.UnixConn, want string) {
	t.Helper()
	buf := make([]byte, 100)
	n, err := socket.Read(buf)
	if got := string(buf[:n]); err != nil || got != want {
		t.Fatalf("%q, %v, want %s", got, err, want)
	}
}
