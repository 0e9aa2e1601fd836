package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kyujobs/kyu/dashboard/live"
)

// serve is the server: a Hub with the server of its package. It prints its address to out. The
// first number of clients is how many may listen.
func serve(ctx context.Context, o Options, out io.Writer) error {
	if err := raiseFiles(o.clients[0] + 100); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	hub := live.New(live.Options{Max: o.clients[0], Sample: func(context.Context) ([]byte, error) {
		return state(time.Now(), o.bytes), nil
	}})
	server := live.Server(hub)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }() // ends with Close
	defer server.Close()
	fmt.Fprintln(out, listener.Addr())
	if err := hub.Run(ctx); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	// The clients that read nothing keep it from ending; Close drops them.
	if err := server.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// state is JSON of a size, with the time when it was made in nanoseconds.
func state(at time.Time, size int) []byte {
	head := fmt.Sprintf(`{"at":%d,"rest":"`, at.UnixNano())
	return []byte(head + strings.Repeat("x", max(size-len(head)-2, 0)) + `"}`)
}
