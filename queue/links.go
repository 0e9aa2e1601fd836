package queue

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// links are the connections of a Store. Where one falls silent without an end, as a
// router that forgets a connection makes it, the others that went through it are as
// dead. Each would be found out by a timeout of its own; so when one is, all go that
// have said nothing for as long.
type links struct {
	silence time.Duration

	mu   sync.Mutex
	open map[*link]bool
}

type link struct {
	net.Conn
	all   *links
	heard atomic.Int64 // when something last came, in Unix milliseconds
}

// dial makes connections through d that are counted among links.
func (l *links) dial(d dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		made := &link{Conn: c, all: l}
		made.heard.Store(time.Now().UnixMilli())
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

func (c *link) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(time.Now().UnixMilli())
	}
	return n, err
}

func (c *link) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// The methods of a go-redis hook: they see how commands end.

// DialHook changes nothing.
func (l *links) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook looks at the end of a command.
func (l *links) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		l.look(ctx, err)
		return err
	}
}

// ProcessPipelineHook looks at the end of several.
func (l *links) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		l.look(ctx, err)
		return err
	}
}

func (l *links) look(ctx context.Context, err error) {
	var timeout net.Error
	if err != nil && ctx.Err() == nil && errors.As(err, &timeout) && timeout.Timeout() {
		l.cut()
	}
}
