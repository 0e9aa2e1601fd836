package redisdb

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
)

// ErrLarge is the error of a doorbell whose job is larger than Options.MaxReply. The job has
// landed, and the next fetch moves it to the dead set.
var ErrLarge = errors.New("a payload is too large to be read")

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// limitReplies makes connections refuse a bulk reply of more than limit bytes before they read it,
// because go-redis would hold all of it in memory. It is for connections that have one command
// under way at a time.
func limitReplies(dial dialer, limit int) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &limitedConn{Conn: c, limit: limit}, nil
	}
}

// SyscallConn returns the socket, for go-redis (see link).
func (c *limitedConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

type limitedConn struct {
	net.Conn
	limit int
	begun bool // the head of the reply has been read
}

func (c *limitedConn) Write(b []byte) (int, error) {
	c.begun = false
	return c.Conn.Write(b)
}

func (c *limitedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n == 0 || c.begun {
		return n, err
	}
	c.begun = true
	if b[0] != '$' {
		return n, err
	}
	head, _, found := bytes.Cut(b[1:n], []byte("\r"))
	if size, e := strconv.Atoi(string(head)); found && e == nil && size > c.limit {
		c.Close() // nothing can be read behind a reply that is not read to its end
		return 0, ErrLarge
	}
	return n, err
}
