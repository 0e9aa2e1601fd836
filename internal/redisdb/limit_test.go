package redisdb

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestDoorbellRead(t *testing.T) {
	const size = 10_000
	bell := func(p *pipes) net.Conn {
		return p.link(func(d dialer) dialer { return limitReplies(d, size) })
	}
	reply := fmt.Sprintf("$%d\r\n%s\r\n", size, strings.Repeat("x", size))
	read := func(p *pipes, c net.Conn, want string) {
		p.Helper()
		start := time.Now()
		c.SetReadDeadline(start.Add(BellTimeout + replyTimeout))
		n, err := io.ReadFull(c, make([]byte, len(reply)))
		p.ends(start, n, err, want)
	}
	inPipes(t, "times out when the bytes of a job stop", func(p *pipes) {
		c := bell(p)
		p.drip(reply[:8], 1, BellTimeout)
		read(p, c, "8 bytes, timeout after 8s")
	})
	inPipes(t, "times out when no job comes", func(p *pipes) {
		read(p, bell(p), "0 bytes, timeout after 8s")
	})
	inPipes(t, "reads a slow job to its end", func(p *pipes) {
		c := bell(p)
		p.drip(reply, len(reply), 2*time.Millisecond)
		read(p, c, fmt.Sprintf("%d bytes, nil after %v", len(reply),
			time.Duration(len(reply))*2*time.Millisecond))
	})
	inPipes(t, "refuses a job over the limit before its bytes come", func(p *pipes) {
		c := bell(p)
		p.drip(fmt.Sprintf("$%d\r\n", size+1), 1, time.Second)
		read(p, c, "0 bytes, a payload is too large to be read after 1s")
	})
}
