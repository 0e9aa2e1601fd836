package live

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// crowd is many clients of one server.
type crowd struct {
	address string
	readers []*reader
	slow    []net.Conn
	running sync.WaitGroup // the readers
	from    atomic.Int64   // updates made from this time on are measured, in Unix nanoseconds
	to      atomic.Int64   // and before this one
}

// reader is a client that reads all it is sent.
type reader struct {
	conn  net.Conn
	waits []float64      // from the making of a state to its arrival, in milliseconds
	made  map[int64]bool // the times when the measured states were made
	bye   time.Duration  // after which the server wants it back; 0 if the server did not say
}

// open connects clients, 64 at a time, and waits until each has a state.
func (c *crowd) open(ctx context.Context, n, slow int) error {
	c.readers, c.slow = make([]*reader, n), make([]net.Conn, slow)
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(64)
	for i := range slow {
		all.Go(func() (err error) {
			if c.slow[i], err = c.dial(ctx); err == nil {
				err = c.slow[i].(*net.TCPConn).SetReadBuffer(4 << 10)
			}
			return err
		})
	}
	for i := range n {
		all.Go(func() error { return c.enter(ctx, i) })
	}
	return all.Wait()
}

func (c *crowd) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n\r\n",
		c.address)
	return conn, err
}

// enter connects a reader, waits for its first state, and lets it go on reading.
func (c *crowd) enter(ctx context.Context, i int) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	r := &reader{conn: conn, made: map[int64]bool{}}
	c.readers[i] = r
	lines := bufio.NewReaderSize(conn, 8<<10) // one read for an update
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	for {
		line, _, err := lines.ReadLine()
		if err != nil {
			return fmt.Errorf("a client got no state: %w", err)
		}
		if status, ok := strings.CutPrefix(string(line), "HTTP/1.1 "); ok && status != "200 OK" {
			return fmt.Errorf("a client was answered %s", status)
		}
		if _, ok := madeAt(line); ok {
			break
		}
	}
	conn.SetReadDeadline(time.Time{})
	c.running.Go(func() { c.read(r, lines) })
	return nil
}

// read notes what comes until the stream ends.
func (c *crowd) read(r *reader, lines *bufio.Reader) {
	leaving := false
	for {
		line, _, err := lines.ReadLine() // a long line comes in parts, of which the first counts
		if err != nil {
			return
		}
		if made, ok := madeAt(line); ok && made >= c.from.Load() && made < c.to.Load() {
			r.waits = append(r.waits, float64(time.Now().UnixNano()-made)/1e6)
			r.made[made] = true
		}
		if text, ok := strings.CutPrefix(string(line), "data: "); ok && leaving {
			ms, _ := strconv.Atoi(text)
			r.bye = time.Duration(ms) * time.Millisecond
			return
		}
		leaving = leaving || string(line) == "event: bye"
	}
}

// madeAt is the time in a line of data, in Unix nanoseconds.
func madeAt(line []byte) (made int64, ok bool) {
	text, ok := strings.CutPrefix(string(line), `data: {"at":`)
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(text, ",")
	made, err := strconv.ParseInt(number, 10, 64)
	return made, err == nil
}

// measure measures the updates of a time, and looks at a figure each second, of which it returns
// the highest.
func (c *crowd) measure(ctx context.Context, length time.Duration, look func() float64) (float64,
	error) {
	now := time.Now()
	c.to.Store(now.Add(length).UnixNano())
	c.from.Store(now.UnixNano())
	peak := 0.0
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for time.Since(now) < length+time.Second { // a second more, for the last update
		select {
		case <-second.C:
			peak = max(peak, look())
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return peak, nil
}

func (c *crowd) close() {
	for _, r := range c.readers {
		if r != nil {
			r.conn.Close()
		}
	}
	for _, conn := range c.slow {
		if conn != nil {
			conn.Close()
		}
	}
	c.running.Wait()
}
