package cli

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSystemdHearsWhenTheServiceIsReadyHowItIsAndWhenItStops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	a, out, _ := app(map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- a.Run(ctx, []string{"--dev", "-c", "3"}) }()
	var heard strings.Builder
	buf := make([]byte, 4096)
	socket.SetReadDeadline(time.Now().Add(10 * time.Second))
	for strings.Count(heard.String(), "WATCHDOG=1") < 2 {
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatalf("heard only %q", heard.String())
		}
		heard.Write(append(buf[:n], '\n'))
	}
	cancel()
	for !strings.Contains(heard.String(), "STOPPING=1") {
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatalf("heard only %q", heard.String())
		}
		heard.Write(append(buf[:n], '\n'))
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	// 25 s for jobs, 15 to settle
	if !strings.Contains(heard.String(), "EXTEND_TIMEOUT_USEC=40000000") {
		t.Errorf("the time of the drain is not asked for: %q", heard.String())
	}
	for _, want := range []string{"READY=1", "STATUS=0 of 3 threads busy on default, push, " +
		"mailers, pull"} {
		if !strings.Contains(heard.String(), want) {
			t.Errorf("not heard: %s in %q", want, heard.String())
		}
	}
	if i, j := strings.Index(heard.String(), "READY=1"),
		strings.Index(out.String(), "Serving"); i < 0 || j < 0 {
		t.Error("ready, but not serving")
	}
}
