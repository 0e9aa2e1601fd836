package compare

import (
	"net"
	"time"

	"github.com/kyujobs/kyu/internal/kerneltimer"
)

// relay passes a TCP connection on, with a delay in each direction.
type relay struct {
	url      string
	listener net.Listener
}

func newRelay(to string, delay time.Duration) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() { // ends when the listener is closed
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go pass(out, in, delay)
			go pass(in, out, delay)
		}
	}()
	return &relay{"redis://" + l.Addr().String() + "/0", l}, nil
}

func (r *relay) close() { r.listener.Close() }

// chunk is bytes that were read, and the time at which they are written.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pass copies from in to out. Each byte arrives the delay later.
func pass(out, in net.Conn, delay time.Duration) {
	chunks := make(chan chunk, 1024)
	go func() { // ends when in is closed
		defer close(chunks)
		for {
			b := make([]byte, 64<<10)
			n, err := in.Read(b)
			if n > 0 {
				chunks <- chunk{b[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range chunks {
		if err := kerneltimer.Sleep(time.Until(c.due)); err != nil {
			break
		}
		if _, err := out.Write(c.bytes); err != nil {
			break
		}
	}
	out.Close()
	in.Close()
}
