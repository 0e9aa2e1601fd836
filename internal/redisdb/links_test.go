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

// pipes makes links whose time is the test's own; far is what Redis would hold.
type pipes struct {
	*testing.T
	all *links
	far net.Conn // of the last link
	on  sync.WaitGroup
}

// inPipes runs a test where time stands still while anything runs.
func inPipes(t *testing.T, name string, test func(p *pipes)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := &pipes{T: t, all: &links{silence: replyWithin, open: map[*link]bool{}}}
			t.Cleanup(p.on.Wait)
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

// drip sends a text in n pieces, each after a pause.
func (p *pipes) drip(text string, n int, pause time.Duration) {
	far, size := p.far, len(text)/n
	p.on.Go(func() {
		for i := range n {
			<-time.After(pause)
			io.WriteString(far, text[i*size:(i+1)*size])
		}
	})
}

// drain takes n bytes at a time, each time after a pause.
func (p *pipes) drain(times, n int, pause time.Duration) {
	far := p.far
	p.on.Go(func() {
		for range times {
			<-time.After(pause)
			io.ReadFull(far, make([]byte, n))
		}
	})
}

// ends says how an exchange ended, and after how long.
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

func TestALinkEndsForSilenceNotForSlowness(t *testing.T) {
	text := strings.Repeat("x", 10_000)
	read := func(p *pipes, c net.Conn, timeout time.Duration, want string) {
		start := time.Now()
		c.SetReadDeadline(start.Add(timeout))
		n, err := io.ReadFull(c, make([]byte, len(text)))
		p.ends(start, n, err, want)
	}
	inPipes(t, "a slow reply is read", func(p *pipes) {
		c := p.link()
		p.drip(text, 10, 2*time.Second)
		read(p, c, replyWithin, "10000 bytes, nil after 20s")
	})
	inPipes(t, "one that stops is not waited for", func(p *pipes) {
		c := p.link()
		p.drip(text[:2000], 2, 2*time.Second)
		read(p, c, replyWithin, "2000 bytes, timeout after 7s")
	})
	inPipes(t, "a deadline read by a late clock is a silence", func(p *pipes) {
		c := p.link()
		p.drip(text, 10, 2*time.Second)
		read(p, c, replyWithin-50*time.Millisecond, "10000 bytes, nil after 20s")
	})
	inPipes(t, "a caller's own deadline stays", func(p *pipes) {
		c := p.link()
		p.drip(text, 10, 300*time.Millisecond)
		read(p, c, time.Second, "3000 bytes, timeout after 1s")
	})
	inPipes(t, "the next deadline counts anew", func(p *pipes) {
		c := p.link()
		p.drip(text, 10, 2*time.Second)
		read(p, c, replyWithin, "10000 bytes, nil after 20s")
		read(p, c, time.Second, "0 bytes, timeout after 1s")
		read(p, c, replyWithin, "0 bytes, timeout after 3s")
	})

	const size = 10 * writePiece
	write := func(p *pipes, c net.Conn, timeout time.Duration, want string) {
		start := time.Now()
		c.SetWriteDeadline(start.Add(timeout))
		n, err := c.Write(make([]byte, size))
		p.ends(start, n, err, want)
	}
	inPipes(t, "a slow command is written", func(p *pipes) {
		c := p.link()
		p.drain(10, writePiece, 2*time.Second)
		write(p, c, replyWithin, "655360 bytes, nil after 20s")
	})
	inPipes(t, "if a piece takes longer than a silence too", func(p *pipes) {
		c := p.link()
		p.drain(40, writePiece/4, 2*time.Second)
		write(p, c, replyWithin, "655360 bytes, nil after 1m20s")
	})
	inPipes(t, "one that is not taken ends", func(p *pipes) {
		c := p.link()
		p.drain(2, writePiece, 2*time.Second)
		write(p, c, replyWithin, "131072 bytes, timeout after 7s")
	})
	inPipes(t, "a caller's own deadline stays for a command", func(p *pipes) {
		c := p.link()
		p.drain(10, writePiece, 600*time.Millisecond)
		write(p, c, time.Second, "65536 bytes, timeout after 1s")
	})
}

func TestADoorbellWaitsForAJobAndThenForItsBytes(t *testing.T) {
	const size = 10_000
	bell := func(p *pipes) net.Conn {
		return p.link(func(d dialer) dialer { return limitReplies(d, size) })
	}
	reply := fmt.Sprintf("$%d\r\n%s\r\n", size, strings.Repeat("x", size))
	read := func(p *pipes, c net.Conn, want string) {
		start := time.Now()
		c.SetReadDeadline(start.Add(BellTimeout + replyWithin))
		n, err := io.ReadFull(c, make([]byte, len(reply)))
		p.ends(start, n, err, want)
	}
	inPipes(t, "one whose bytes stop is not waited for", func(p *pipes) {
		c := bell(p)
		p.drip(reply[:8], 1, BellTimeout)
		read(p, c, "8 bytes, timeout after 8s")
	})
	inPipes(t, "nor a bell that says nothing", func(p *pipes) {
		read(p, bell(p), "0 bytes, timeout after 8s")
	})
	inPipes(t, "a slow job is read after a long sleep", func(p *pipes) {
		c := bell(p)
		p.drip(reply, len(reply), 2*time.Millisecond)
		read(p, c, fmt.Sprintf("%d bytes, nil after %v", len(reply),
			time.Duration(len(reply))*2*time.Millisecond))
	})
}

func TestLinksAreCutByASilenceAlone(t *testing.T) {
	isOpen := func(c net.Conn) bool {
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		return errors.Is(err, os.ErrDeadlineExceeded)
	}
	inPipes(t, "not by callers' own deadlines", func(p *pipes) {
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
			p.Error("the idle link was cut")
		}
	})
	for name, use := range map[string]func(c net.Conn) error{
		"of a read":  func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"of a write": func(c net.Conn) error { _, err := c.Write(make([]byte, 1)); return err },
	} {
		inPipes(t, name, func(p *pipes) {
			idle, alive := p.link(), p.link()
			p.drip("xx", 2, 2*time.Second)
			p.on.Go(func() { alive.Read(make([]byte, 1)) })
			silent := p.link()
			silent.SetDeadline(time.Now().Add(replyWithin))
			if err := use(silent); !errors.Is(err, os.ErrDeadlineExceeded) {
				p.Fatal(err)
			}
			if isOpen(idle) || !isOpen(alive) {
				p.Errorf("open are the idle link: %v, the one that spoke: %v", isOpen(idle),
					isOpen(alive))
			}
		})
	}
}
