package cli

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// manager is a service manager that collects the reports of a service.
type manager struct {
	*testing.T
	socket  *net.UnixConn
	path    string
	reports strings.Builder
}

func newManager(t *testing.T) *manager {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	socket.SetReadDeadline(time.Now().Add(10 * time.Second))
	return &manager{T: t, socket: socket, path: path}
}

// until reads until a report has come n times.
func (m *manager) until(report string, n int) {
	m.Helper()
	buf := make([]byte, 4096)
	for strings.Count(m.reports.String(), report) < n {
		size, err := m.socket.Read(buf)
		if err != nil {
			m.Fatalf("no %s in %q", report, m.reports.String())
		}
		m.reports.Write(append(buf[:size], '\n'))
	}
}

func TestSystemd(t *testing.T) {
	m := newManager(t)
	a, out, _ := app(map[string]string{"NOTIFY_SOCKET": m.path, "WATCHDOG_USEC": "400000"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() { ended <- a.Run(ctx, []string{"--dev", "-c", "3"}) }()
	m.until("WATCHDOG=1", 2)
	cancel()
	m.until("STOPPING=1", 1)
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	for name, want := range map[string]string{
		"reads when the service is ready": "READY=1",
		"reads the status": "STATUS=0 of 3 threads busy on default, push, mailers, " +
			"pull",
		// 25 s for the jobs, 15 s to settle
		"reads how long a stop may take": "EXTEND_TIMEOUT_USEC=40000000",
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(m.reports.String(), want) {
				t.Errorf("no %s in %q", want, m.reports.String())
			}
		})
	}
	if !strings.Contains(out.String(), "Serving") {
		t.Errorf("the log does not say that queues are served:\n%s", out)
	}
}
