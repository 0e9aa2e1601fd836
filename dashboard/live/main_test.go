package live

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a Sample whose state and error a test sets.
type source struct {
	mu    sync.Mutex
	state string
	err   error
	calls int
}

func (s *source) set(state string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.err = state, err
}

func (s *source) sample(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	return []byte(s.state), s.err
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// site is a Hub behind a server of pipes, in a synctest bubble: time moves only when all
// goroutines wait, and a client takes exactly what the test reads.
type site struct {
	*testing.T
	*source
	hub     *Hub
	server  *http.Server
	log     strings.Builder
	conns   chan net.Conn
	closed  chan struct{}
	running sync.WaitGroup
	stop    context.CancelFunc // of Run
}

// inSite runs a test with a Hub. set changes its options.
func inSite(t *testing.T, name string, set func(*Options), test func(*site)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &site{T: t, source: &source{state: `{"n":1}`}, conns: make(chan net.Conn),
				closed: make(chan struct{})}
			o := Options{Sample: s.sample, Age: 24 * time.Hour,
				Log: slog.New(slog.NewTextHandler(&s.log, nil))}
			if set != nil {
				set(&o)
			}
			s.hub = New(o)
			s.server = &http.Server{Handler: s.hub, ReadTimeout: time.Second,
				WriteTimeout: 2 * time.Second, Protocols: &http.Protocols{}}
			s.server.Protocols.SetHTTP1(true)
			s.server.Protocols.SetUnencryptedHTTP2(true)
			s.running.Go(func() { s.server.Serve(s) })
			ctx, stop := context.WithCancel(t.Context())
			s.stop = stop
			s.running.Go(func() {
				if err := s.hub.Run(ctx); err != nil {
					t.Errorf("Run: %v", err)
				}
			})
			defer s.running.Wait()
			defer s.server.Close()
			defer stop()
			test(s)
		})
	})
}

func (s *site) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *site) Close() error {
	close(s.closed)
	return nil
}

func (s *site) Addr() net.Addr { return &net.UnixAddr{} }

// reader is a client that reads only when the test says it.
type reader struct {
	*testing.T
	near   net.Conn
	answer *http.Response
	lines  *bufio.Reader
}

// get sends a request and reads the head of the answer. lines are headers.
func (s *site) get(path string, lines ...string) *reader {
	s.Helper()
	near, far := net.Pipe()
	s.conns <- far
	head := "GET " + path + " HTTP/1.1\r\nHost: kyu\r\n" + strings.Join(append(lines, ""), "\r\n")
	if _, err := io.WriteString(near, head+"\r\n"); err != nil {
		s.Fatal(err)
	}
	r := &reader{T: s.T, near: near}
	s.Cleanup(r.leave)
	var err error
	if r.answer, err = http.ReadResponse(bufio.NewReader(near), nil); err != nil {
		s.Fatal(err)
	}
	r.lines = bufio.NewReader(r.answer.Body)
	return r
}

// listen opens a stream, and reads its first block.
func (s *site) listen(path string, lines ...string) *reader {
	s.Helper()
	r := s.get(path, lines...)
	if first := r.block(); !strings.HasPrefix(first, "retry: ") {
		s.Fatalf("the stream begins with %q", first)
	}
	return r
}

func (r *reader) leave() { r.near.Close() }

// block reads to the next empty line.
func (r *reader) block() string {
	r.Helper()
	block, err := r.read()
	if err != nil {
		r.Fatalf("the stream ended: %v", err)
	}
	return block
}

func (r *reader) read() (string, error) {
	var b strings.Builder
	for {
		line, err := r.lines.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\n" {
			return b.String(), err
		}
	}
}

// event reads the next block that is not a comment.
func (r *reader) event() string {
	r.Helper()
	for {
		if block := r.block(); block != ":\n\n" {
			return block
		}
	}
}

// expect reads a block, and says if it is not as wanted.
func (r *reader) expect(want string) {
	r.Helper()
	if got := r.block(); got != want {
		r.Errorf("the client was sent %q, want %q", got, want)
	}
}

// end reads to the end of the stream.
func (r *reader) end() {
	r.Helper()
	if rest, err := r.read(); err == nil {
		r.Errorf("the stream goes on with %q", rest)
	}
}

func shown(state string) string { return string(stateFrame([]byte(state)).bytes) }
