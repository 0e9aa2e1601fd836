// Package faultproxy stands between a Redis client and its server in tests. It
// understands the protocol, so it can lose exactly the reply of one command:
// the server has done it, and the client never hears of it.
package faultproxy

import (
	"bufio"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Proxy forwards connections to a Redis server.
type Proxy struct {
	Addr string

	t      testing.TB
	server string
	listen net.Listener
	done   sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]bool
	match   string // of the command's first two words
	nth     int    // which of them loses its reply; 0: none
	dropped int
}

// Start starts a proxy. It ends with the test.
func Start(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), t: t, server: server, listen: l, conns: map[net.Conn]bool{}}
	p.done.Add(1)
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.Cut()
		p.done.Wait()
	})
	return p
}

// Script is how a call of one of our scripts begins, whose text has a shebang.
func Script(name string) string {
	_, self, _, _ := runtime.Caller(0)
	b, err := os.ReadFile(filepath.Join(filepath.Dir(self), "../../queue/lua", name+".lua"))
	if err != nil {
		panic(err)
	}
	sum := sha1.Sum(b)
	return "evalsha " + hex.EncodeToString(sum[:])
}

// DropReply loses the reply of the n-th command from now on that begins with
// match (in lower case), and the connection with it.
func (p *Proxy) DropReply(match string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.match, p.nth = match, n
}

// Dropped is how many replies were lost so far.
func (p *Proxy) Dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped
}

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *Proxy) accept() {
	defer p.done.Done()
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.done.Add(1)
		go p.serve(client, server)
	}
}

// serve passes commands on and their replies back.
func (p *Proxy) serve(client, server net.Conn) {
	defer p.done.Done()
	drops := make(chan bool, 1024) // per command: is its reply to be lost?
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		defer server.Close()
		defer close(drops)
		for r := bufio.NewReader(client); ; {
			frame, words, err := readFrame(r)
			if err != nil {
				return
			}
			drops <- p.chosen(words)
			if _, err := server.Write(frame); err != nil {
				return
			}
		}
	}()
	r := bufio.NewReader(server)
	for drop := range drops {
		frame, _, err := readFrame(r)
		if err != nil || drop {
			break
		}
		if _, err := client.Write(frame); err != nil {
			break
		}
	}
	client.Close()
	server.Close()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
	for range drops { // let the reader of commands end
	}
}

func (p *Proxy) chosen(words []string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nth == 0 || !strings.HasPrefix(strings.ToLower(strings.Join(words, " ")), p.match) {
		return false
	}
	p.nth--
	if p.nth == 0 {
		p.dropped++
		return true
	}
	return false
}

// readFrame reads one RESP2 value, its bytes and the first two bulk strings in it.
func readFrame(r *bufio.Reader) (frame []byte, words []string, err error) {
	line, err := r.ReadBytes('\n')
	if err != nil || len(line) < 3 {
		return nil, nil, fmt.Errorf("frame: %w", err)
	}
	frame = line
	n, _ := strconv.Atoi(strings.TrimSpace(string(line[1:])))
	switch line[0] {
	case '$':
		if n < 0 {
			return frame, nil, nil
		}
		body := make([]byte, n+2)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, nil, err
		}
		return append(frame, body...), []string{string(body[:n])}, nil
	case '*':
		for i := 0; i < n; i++ {
			part, w, err := readFrame(r)
			if err != nil {
				return nil, nil, err
			}
			frame = append(frame, part...)
			if len(words) < 2 {
				words = append(words, w...)
			}
		}
	}
	return frame, words, nil
}
