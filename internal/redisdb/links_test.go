package redisdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes makes links over pipes, in a synctest bubble: time moves only when all goroutines wait.
type pipes struct {
	*testing.T
	all     *links
	far     net.Conn // Redis's end of the last link
	running sync.WaitGroup
}

func inPipes(t *testing.T, name string, test func(p *pipes)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := &pipes{T: t, all: &links{silence: replyTimeout, open: map[*link]bool{}}}
			t.Cleanup(p.running.Wait)
			test(p)
		})
	})
}

func (p *pipes) link(wrap ...func(dialer) dialer) net.Conn {
	p.Helper()
	dial := p.all.dial(func(context.Context, string, string) (near net.Conn, err error) {
		near, p.far = net.Pipe()
		return near, nil
	})
	for _, w := range wrap {
		dial = w(dial)
	}
	c, err := dial(p.Context(), "tcp", "")
	if err != nil {
		p.Fatal(err)
	}
	far := p.far
	p.Cleanup(func() { c.Close(); far.Close() })
	return c
}

// drip sends text from Redis's end in n pieces, each after a pause.
func (p *pipes) drip(text string, n int, pause time.Duration) {
	far, size := p.far, len(text)/n
	p.running.Go(func() {
		for i := range n {
			<-time.After(pause)
			io.WriteString(far, text[i*size:(i+1)*size])
		}
	})
}

// drain reads n bytes at a time at Redis's end, each time after a pause.
func (p *pipes) drain(times, n int, pause time.Duration) {
	far := p.far
	p.running.Go(func() {
		for range times {
			<-time.After(pause)
			io.ReadFull(far, make([]byte, n))
		}
	})
}

// ends checks how many bytes flowed, how it ended, and after how long.
func (p *pipes) ends(start time.Time, n int, err error, want string) {
	p.Helper()
	how := "nil"
	if errors.Is(err, os.ErrDeadlineExceeded) {
		how = "timeout"
	} else if err != nil {
		how = err.Error()
	}
	if got := fmt.Sprint(n, " bytes, ", how, " after ", time.Since(start)); got != want {
		p.Errorf("%s, want %s", got, want)
	}
}

// read reads a text of 10,000 bytes with a time-out.
func (p *pipes) read(c net.Conn, timeout time.Duration, want string) {
	p.Helper()
	start := time.Now()
	c.SetReadDeadline(start.Add(timeout))
	n, err := io.ReadFull(c, make([]byte, len(longText)))
	p.ends(start, n, err, want)
}

var longText = strings.Repeat("x", 10_000)

func TestLinkRead(t *testing.T) {
	inPipes(t, "reads a slow reply to its end", func(p *pipes) {
		c := p.link()
		p.drip(longText, 10, 2*time.Second)
		p.read(c, replyTimeout, "10000 bytes, nil after 20s")
	})
	inPipes(t, "times out when a reply stops", func(p *pipes) {
		c := p.link()
		p.drip(longText[:2000], 2, 2*time.Second)
		p.read(c, replyTimeout, "2000 bytes, timeout after 7s")
	})
	inPipes(t, "takes a deadline of a late clock for a whole time-out", func(p *pipes) {
		c := p.link()
		p.drip(longText, 10, 2*time.Second)
		p.read(c, replyTimeout-50*time.Millisecond, "10000 bytes, nil after 20s")
	})
	inPipes(t, "does not move a caller's sooner deadline", func(p *pipes) {
		c := p.link()
		p.drip(longText, 10, 300*time.Millisecond)
		p.read(c, time.Second, "3000 bytes, timeout after 1s")
	})
	inPipes(t, "begins anew with the next deadline", func(p *pipes) {
		c := p.link()
		p.drip(longText, 10, 2*time.Second)
		p.read(c, replyTimeout, "10000 bytes, nil after 20s")
		p.read(c, time.Second, "0 bytes, timeout after 1s")
		p.read(c, replyTimeout, "0 bytes, timeout after 3s")
	})
}

func TestLinkWrite(t *testing.T) {
	write := func(p *pipes, c net.Conn, timeout time.Duration, want string) {
		p.Helper()
		start := time.Now()
		c.SetWriteDeadline(start.Add(timeout))
		n, err := c.Write(make([]byte, 10*writePiece))
		p.ends(start, n, err, want)
	}
	inPipes(t, "writes a slow command to its end", func(p *pipes) {
		c := p.link()
		p.drain(10, writePiece, 2*time.Second)
		write(p, c, replyTimeout, "655360 bytes, nil after 20s")
	})
	inPipes(t, "goes on when a piece takes longer than a time-out", func(p *pipes) {
		c := p.link()
		p.drain(40, writePiece/4, 2*time.Second)
		write(p, c, replyTimeout, "655360 bytes, nil after 1m20s")
	})
	inPipes(t, "times out when a command is not accepted", func(p *pipes) {
		c := p.link()
		p.drain(2, writePiece, 2*time.Second)
		write(p, c, replyTimeout, "131072 bytes, timeout after 7s")
	})
	inPipes(t, "does not move a caller's sooner deadline", func(p *pipes) {
		c := p.link()
		p.drain(10, writePiece, 600*time.Millisecond)
		write(p, c, time.Second, "65536 bytes, timeout after 1s")
	})
}

// isOpen reports whether a link still waits for bytes.
func isOpen(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func TestIdleLinks(t *testing.T) {
	inPipes(t, "stay open when callers' sooner deadlines pass", func(p *pipes) {
		idle := p.link()
		<-time.After(time.Minute)
		for range 60 {
			c := p.link()
			c.SetDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				p.Fatal(err)
			}
			c.Write([]byte("x"))
		}
		if !isOpen(idle) {
			p.Error("the idle link was closed")
		}
	})
	for name, use := range map[string]func(c net.Conn) error{
		"read":  func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"write": func(c net.Conn) error { _, err := c.Write(make([]byte, 1)); return err },
	} {
		inPipes(t, "are closed when a "+name+" times out, and others are not", func(p *pipes) {
			idle, busy := p.link(), p.link()
			p.drip("xx", 2, 2*time.Second)
			p.running.Go(func() { busy.Read(make([]byte, 1)) })
			silent := p.link()
			silent.SetDeadline(time.Now().Add(replyTimeout))
			if err := use(silent); !errors.Is(err, os.ErrDeadlineExceeded) {
				p.Fatal(err)
			}
			if isOpen(idle) {
				p.Error("the idle link is open")
			}
			if !isOpen(busy) {
				p.Error("the link on which bytes came is closed")
			}
		})
	}
}
