package faultproxy

import (
	"net"
	"strings"
	"sync"
	"time"
)

// piece is how many bytes pass at a time on a narrow link.
const piece = 16 << 10

// catchUp is how far a link may be behind and make up for it: timers are late.
const catchUp = 50 * time.Millisecond

// pace is a bound on the bytes that pass in one direction, over all connections.
type pace struct {
	mu   sync.Mutex
	rate int // bytes a second; 0: no bound
	next time.Time
}

// wait blocks until n bytes may pass.
func (p *pace) wait(n int) {
	p.mu.Lock()
	if p.rate == 0 {
		p.mu.Unlock()
		return
	}
	if since := time.Now().Add(-catchUp); p.next.Before(since) {
		p.next = since
	}
	p.next = p.next.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
	pause := time.Until(p.next)
	p.mu.Unlock()
	<-time.After(pause)
}

func (p *pace) set(rate int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate
}

// Bandwidth lets so many bytes pass in a second, in each direction and over all
// connections together. The bytes flow evenly. 0 ends the bound.
func (p *Proxy) Bandwidth(bytesPerSecond int) {
	p.up.set(bytesPerSecond)
	p.down.set(bytesPerSecond)
}

// pacedConn is the client's end of a connection, on the narrow link.
type pacedConn struct {
	net.Conn
	up, down *pace
}

func (c *pacedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), piece)])
	if n > 0 {
		c.up.wait(n)
	}
	return n, err
}

func (c *pacedConn) Write(b []byte) (written int, err error) {
	for len(b) > 0 {
		part := b[:min(len(b), piece)]
		c.down.wait(len(part))
		n, err := c.Conn.Write(part)
		written += n
		if err != nil {
			return written, err
		}
		b = b[n:]
	}
	return written, nil
}

// holds are the replies that are kept back.
type holds struct {
	match string // of the commands whose replies are held; "": none
	kept  []chan struct{}
}

// HoldReplies keeps back the replies of the commands that begin with match (in lower
// case) from now on: the server has carried them out, and the client waits. Those that
// are kept already stay so. With "" no more are kept.
func (p *Proxy) HoldReplies(match string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds.match = match
}

// Held is how many replies are kept back.
func (p *Proxy) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.holds.kept)
}

// Release lets the oldest of the replies go that are kept back, if there is one.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.holds.kept) > 0 {
		close(p.holds.kept[0])
		p.holds.kept = p.holds.kept[1:]
	}
}

// hold is what the reply of command must wait for; nil if it need not. The caller
// holds mu.
func (p *Proxy) hold(command string) chan struct{} {
	if p.holds.match == "" || !strings.HasPrefix(command, p.holds.match) {
		return nil
	}
	kept := make(chan struct{})
	p.holds.kept = append(p.holds.kept, kept)
	return kept
}
