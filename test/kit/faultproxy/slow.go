package faultproxy

import (
	"net"
	"strings"
	"sync"
	"time"
)

// piece is the most bytes that pass at once.
const piece = 16 << 10

// catchUp is the longest time for which a pace that was too slow, because timers are late,
// may be faster afterwards.
const catchUp = 50 * time.Millisecond

// pace limits the bytes per second in one direction, over all connections.
type pace struct {
	// The test and the goroutines of the connections read and write these fields, under mu.
	mu   sync.Mutex
	rate int       // bytes per second; 0: no limit
	next time.Time // when the next bytes may pass
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

// Bandwidth limits the bytes per second in each direction, over all connections together.
// 0 ends the limit.
func (p *Proxy) Bandwidth(bytesPerSecond int) {
	p.up.set(bytesPerSecond)
	p.down.set(bytesPerSecond)
}

// pacedConn is a client's connection with limited bandwidth.
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

// holds are the replies that wait for Release.
type holds struct {
	match string          // how commands begin whose replies wait; "": none does
	kept  []chan struct{} // one for each reply that waits, the oldest first
}

// HoldReplies makes the replies of commands that begin with match wait for Release, from now
// on: the server has carried the commands out, and the client gets no answer. With "" no
// further replies wait; those that wait already still do.
func (p *Proxy) HoldReplies(match string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds.match = match
}

// Held returns the number of replies that wait.
func (p *Proxy) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.holds.kept)
}

// Release sends the oldest reply that waits, if there is one.
func (p *Proxy) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.holds.kept) > 0 {
		close(p.holds.kept[0])
		p.holds.kept = p.holds.kept[1:]
	}
}

// hold returns a channel that is closed when the reply of command may be sent; nil if it
// need not wait. The caller holds mu.
func (p *Proxy) hold(command string) chan struct{} {
	if p.holds.match == "" || !strings.HasPrefix(command, p.holds.match) {
		return nil
	}
	kept := make(chan struct{})
	p.holds.kept = append(p.holds.kept, kept)
	return kept
}
