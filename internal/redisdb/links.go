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

// links are the connections of a DB. When a command times out, all connections are closed that
// have been idle at least as long: a router that has dropped one connection has usually dropped
// them all, and each would otherwise be noticed by a time-out of its own.
//
// A time-out means that Redis was silent, not that it was slow. The deadline moves on as long as
// bytes flow, so a large job comes over a slow network. A caller's deadline that is sooner does not
// move, and when it passes no connections are closed.
type links struct {
	silence time.Duration // how long a time-out is

	mu   sync.Mutex
	open map[*link]bool
}

// writePiece is how many bytes of a command are written under one deadline.
const writePiece = 64 << 10

type link struct {
	net.Conn
	all         *links
	addr        string       // that was dialed
	old         atomic.Bool  // of a node that no longer has the slot
	heard       atomic.Int64 // when bytes last flowed, in Unix milliseconds
	read, write flow
}

// flow is one direction of a link, with the deadline that was last set for it.
type flow struct {
	whole  atomic.Bool // the deadline is a whole time-out away, not a caller's sooner one
	moving atomic.Bool // and bytes have flowed since it was set
}

// set records a deadline that is being set.
func (f *flow) set(t time.Time, silence time.Duration) {
	// The clock of go-redis is up to 50 ms late, more on a busy machine.
	f.whole.Store(!t.IsZero() && time.Until(t) >= silence-silence/10)
	f.moving.Store(false)
}

// dial returns a dialer that makes connections through d and adds them to l.
func (l *links) dial(d dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		made := &link{Conn: c, all: l, addr: addr}
		made.hear()
		l.mu.Lock()
		l.open[made] = true
		l.mu.Unlock()
		return made, nil
	}
}

// errOld is the error of a connection that go-redis is to drop.
var errOld = errors.New("the connection leads to a node that no longer has the slot")

// SyscallConn returns the socket. go-redis asks for it before it takes a connection from a pool, to
// see whether the server has closed it, and drops the connection after an error. TLS has no socket
// to look at, so that nothing is seen there but the error.
func (c *link) SyscallConn() (syscall.RawConn, error) {
	if c.old.Load() {
		return nil, errOld
	}
	if open, ok := c.Conn.(syscall.Conn); ok {
		return open.SyscallConn()
	}
	return noSocket{}, nil
}

// noSocket is the socket of a connection that hides its own: there is nothing to see.
type noSocket struct{}

func (noSocket) Control(func(uintptr)) error    { return nil }
func (noSocket) Read(func(uintptr) bool) error  { return nil }
func (noSocket) Write(func(uintptr) bool) error { return nil }

// oldAnswer is how long a node that no longer has the slot may take to answer what is under way.
const oldAnswer = time.Second

// stale has go-redis drop the connections to all nodes but the owner of the slot. What is under way
// on them gets an answer soon, or ends: the node may hang. With "" all connections are dropped.
func (l *links) stale(owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		if c.addr != owner && !c.old.Swap(true) {
			c.Conn.SetReadDeadline(time.Now().Add(oldAnswer))
		}
	}
}

// closeIdle closes the connections that have been idle for a whole time-out.
func (l *links) closeIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := time.Now().Add(-l.silence).UnixMilli()
	for c := range l.open {
		if c.heard.Load() <= since {
			c.Conn.Close()
		}
	}
}

// Read waits for bytes until the deadline. Once bytes have come, it waits a whole time-out for the
// next ones.
func (c *link) Read(b []byte) (int, error) {
	if c.read.moving.Load() { // not after the read below: most replies come at once
		c.Conn.SetReadDeadline(time.Now().Add(c.all.silence))
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.hear()
		c.read.moving.Store(c.read.whole.Load())
	}
	c.check(&c.read, err)
	return n, err
}

// Write writes in pieces, and waits a whole time-out for each to be accepted.
func (c *link) Write(b []byte) (n int, err error) {
	for {
		if c.write.moving.Load() {
			c.Conn.SetWriteDeadline(time.Now().Add(c.all.silence))
		}
		if n > 0 { // the first piece may still be in a buffer of this machine
			c.hear()
		}
		var sent int
		sent, err = c.Conn.Write(b[n:min(n+writePiece, len(b))])
		n += sent
		if sent > 0 && c.write.whole.Load() {
			c.write.moving.Store(true)
			if n < len(b) && errors.Is(err, os.ErrDeadlineExceeded) {
				continue // slow, not silent
			}
		}
		if err != nil || n == len(b) {
			c.check(&c.write, err)
			return n, err
		}
	}
}

// check closes the idle links if err means that Redis was silent for a whole time-out.
func (c *link) check(f *flow, err error) {
	if err != nil && f.whole.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		c.all.closeIdle()
	}
}

func (c *link) hear() { c.heard.Store(time.Now().UnixMilli()) }

// SetDeadline sets the deadline of both directions.
func (c *link) SetDeadline(t time.Time) error {
	c.read.set(t, c.all.silence)
	c.write.set(t, c.all.silence)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline sets how long Read waits for the first bytes.
func (c *link) SetReadDeadline(t time.Time) error {
	c.read.set(t, c.all.silence)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline sets how long Write waits for the first bytes to be accepted.
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
