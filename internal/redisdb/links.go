package redisdb

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// links are the connections of a Store. Where one falls silent without an end, as a
// router that forgets a connection makes it, the others that went through it are as
// dead. Each would be found out by a timeout of its own; so when one is, all go that
// have said nothing for as long.
//
// A timeout means silence, not slowness: a deadline moves on as long as bytes flow, so
// a large job comes over a slow network. Where a caller's context ends sooner its
// deadline stays, and passing it says nothing about the network.
type links struct {
	silence time.Duration

	mu   sync.Mutex
	open map[*link]bool
}

// writePiece is how much of a command is written under one deadline, in bytes.
const writePiece = 64 << 10

type link struct {
	net.Conn
	all *links
	// when the other side last took or sent something, in Unix milliseconds
	heard       atomic.Int64
	read, write flow
}

// flow is one direction of a link under the deadline that was last set for it.
type flow struct {
	silent atomic.Bool // the deadline allows a whole silence
	moving atomic.Bool // and bytes have come since it was set, or have gone
}

// set notes a deadline that is set now.
func (f *flow) set(t time.Time, silence time.Duration) {
	// go-redis tells the time by a clock that is up to 50 ms late, more on a busy machine.
	f.silent.Store(!t.IsZero() && time.Until(t) >= silence-silence/10)
	f.moving.Store(false)
}

// dial makes connections through d that are counted among links.
func (l *links) dial(d dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		made := &link{Conn: c, all: l}
		made.hear()
		l.mu.Lock()
		l.open[made] = true
		l.mu.Unlock()
		if _, ok := c.(syscall.Conn); ok {
			return openLink{made}, nil
		}
		return made, nil
	}
}

// openLink is a link whose socket go-redis can look at, to see before it uses the
// connection whether the other side has closed it.
type openLink struct{ *link }

// SyscallConn gives that socket.
func (c openLink) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

// cut closes what has been silent.
func (l *links) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := time.Now().Add(-l.silence).UnixMilli()
	for c := range l.open {
		if c.heard.Load() <= since {
			c.Conn.Close()
		}
	}
}

// Read waits for bytes until the deadline, or until a silence has passed since some
// came under it.
func (c *link) Read(b []byte) (int, error) {
	if c.read.moving.Load() { // here and not below: most replies come at once
		c.Conn.SetReadDeadline(time.Now().Add(c.all.silence))
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.hear()
		c.read.moving.Store(c.read.silent.Load())
	}
	c.fail(&c.read, err)
	return n, err
}

// Write writes in pieces, each of which has a silence's time to move.
func (c *link) Write(b []byte) (n int, err error) {
	for {
		if c.write.moving.Load() {
			c.Conn.SetWriteDeadline(time.Now().Add(c.all.silence))
		}
		if n > 0 { // the first may have gone no further than this side's buffer
			c.hear()
		}
		var sent int
		sent, err = c.Conn.Write(b[n:min(n+writePiece, len(b))])
		n += sent
		if sent > 0 && c.write.silent.Load() {
			c.write.moving.Store(true)
			if n < len(b) && errors.Is(err, os.ErrDeadlineExceeded) {
				continue // slow, not silent
			}
		}
		if err != nil || n == len(b) {
			c.fail(&c.write, err)
			return n, err
		}
	}
}

// fail looks at an error. If a whole silence has led to it, the other links may be as dead.
func (c *link) fail(f *flow, err error) {
	if err != nil && f.silent.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		c.all.cut()
	}
}

func (c *link) hear() { c.heard.Store(time.Now().UnixMilli()) }

// SetDeadline sets the deadline of both directions.
func (c *link) SetDeadline(t time.Time) error {
	c.read.set(t, c.all.silence)
	c.write.set(t, c.all.silence)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline sets until when Read waits for the first bytes.
func (c *link) SetReadDeadline(t time.Time) error {
	c.read.set(t, c.all.silence)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline sets until when Write waits for the first bytes to go.
func (c *link) SetWriteDeadline(t time.Time) error {
	c.write.set(t, c.all.silence)
	return c.Conn.SetWriteDeadline(t)
}

func (c *link) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}
