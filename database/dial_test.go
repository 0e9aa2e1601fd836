package database

import (
	"net"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
)

// connected returns both ends of a connection.
func connected(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := dialing{keepAlive: net.KeepAliveConfig{Enable: true}, userTimeout: time.Second}
	if ours, err = d.dial(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func TestAlive(t *testing.T) {
	t.Run("an idle connection is", func(t *testing.T) {
		if ours, _ := connected(t); !alive(ours) {
			t.Error("it counts as ended")
		}
	})
	t.Run("one that the other side has closed is not", func(t *testing.T) {
		ours, theirs := connected(t)
		theirs.Close()
		testwait.Until(t, 5*time.Second, "it is found", func() bool { return !alive(ours) })
	})
	t.Run("one with a last message is not", func(t *testing.T) {
		ours, theirs := connected(t)
		if _, err := theirs.Write([]byte("E")); err != nil {
			t.Fatal(err)
		}
		testwait.Until(t, 5*time.Second, "it is found", func() bool { return !alive(ours) })
	})
}

func TestRequirePeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{me.Username: "", "daemon": "runs as the user",
		"no-such-user": "requirepeer=no-such-user"} {
		t.Run("by "+name, func(t *testing.T) {
			conn, err := (&dialing{peer: name}).dial(t.Context(), "unix", path)
			if err == nil {
				conn.Close()
			}
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
		})
	}
}
