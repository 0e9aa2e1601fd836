// Package faultproxy is a proxy between a Redis client and its server that makes network
// faults in tests. It parses the protocol, so it can lose the reply of exactly one command:
// the server has carried it out, and the client gets no answer. It can also answer in place
// of the server, delay replies, close connections, and make connections silent.
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
	"time"
)

// Proxy forwards connections to a Redis server. Commands are matched by their first two
// words in lower case, such as "evalsha 0123…".
type Proxy struct {
	Addr string // where clients connect

	t      testing.TB
	server string // the server's address
	listen net.Listener
	done   sync.WaitGroup

	// The test and the goroutines of the connections read and write these fields, under mu.
	mu      sync.Mutex
	links   map[*link]bool
	match   string            // how commands begin that can lose their reply
	nth     int               // the n-th of them loses it; 0: none does
	every   int               // after that, each n-th loses it; 0: none does
	dropped int               // replies that were lost
	lag     time.Duration     // the delay of each reply
	answers map[string]string // how commands begin that are answered with an error: the error
	calls   map[string]int    // number of them
	holds   holds

	up, down pace // the bandwidth to and from the server
}

// link is a client's connection and the proxy's connection to the server.
type link struct {
	client, server net.Conn
	silent         bool // nothing is forwarded any more; under Proxy.mu
}

// Start starts a proxy for the server at an address. It stops at the end of the test.
func Start(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), t: t, server: server, listen: l, links: map[*link]bool{},
		answers: map[string]string{}, calls: map[string]int{}}
	p.done.Add(1)
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.HoldReplies("")
		for p.Held() > 0 {
			p.Release()
		}
		p.Cut()
		p.done.Wait()
	})
	return p
}

// Script returns how a call of one of our scripts begins, for the functions that match
// commands. name is the file in queue/lua, without ".lua".
func Script(name string) string {
	_, self, _, _ := runtime.Caller(0)
	b, err := os.ReadFile(filepath.Join(filepath.Dir(self), "../../../queue/lua", name+".lua"))
	if err != nil {
		panic(err)
	}
	sum := sha1.Sum(b)
	return "evalsha " + hex.EncodeToString(sum[:])
}

// DropReply loses the reply of the n-th command from now on that begins with match, and
// closes its connection.
func (p *Proxy) DropReply(match string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.match, p.nth, p.every = match, n, 0
}

// DropEvery loses the reply of each n-th command that begins with match, and closes its
// connection.
func (p *Proxy) DropEvery(match string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.match, p.nth, p.every = match, n, n
}

// Dropped returns the number of replies that were lost.
func (p *Proxy) Dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped
}

// Delay delays each reply by d.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lag = d
}

// Answer makes the proxy answer commands that begin with match with an error; they do not
// reach the server. An empty text ends this.
func (p *Proxy) Answer(match, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[match] = 0
	if p.answers[match] = text; text == "" {
		delete(p.answers, match)
	}
}

// Answered returns the number of commands that Answer answered for match.
func (p *Proxy) Answered(match string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[match]
}

// Silence makes all present connections silent: the proxy discards what either side sends,
// and closes none, as a router does that has forgotten a connection. New connections work.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.silent = true
	}
}

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.client.Close()
		l.server.Close()
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
		if tcp, ok := client.(*net.TCPConn); ok {
			tcp.SetReadBuffer(4 * piece) // so that a large command waits at the sender
		}
		l := &link{client: &pacedConn{client, &p.up, &p.down}, server: server}
		p.mu.Lock()
		p.links[l] = true
		p.mu.Unlock()
		p.done.Add(1)
		go p.serve(l)
	}
}

// fate tells what happens to the reply of a command.
type fate struct {
	drop   bool          // it is lost
	answer string        // an error in place of the reply; the server does not get the command
	hold   chan struct{} // it waits until this is closed; nil: it does not wait
}

// serve forwards commands and their replies, in order.
func (p *Proxy) serve(l *link) {
	defer p.done.Done()
	fates := make(chan fate, 1024)
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		p.commands(l, fates)
		close(fates)
		if !p.isSilent(l) {
			l.server.Close()
		}
	}()
	r := bufio.NewReader(l.server)
	for f := range fates {
		if !p.reply(l, r, f) {
			break
		}
	}
	l.client.Close()
	l.server.Close()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	for range fates { // so that the reader of commands can end
	}
}

func (p *Proxy) commands(l *link, fates chan<- fate) {
	for r := bufio.NewReader(l.client); ; {
		frame, words, err := readFrame(r)
		if err != nil {
			return
		}
		if p.isSilent(l) {
			continue
		}
		f := p.chosen(words)
		if f.answer == "" {
			if _, err := l.server.Write(frame); err != nil {
				return
			}
		}
		fates <- f
	}
}

// reply forwards a reply, and reports whether the connection can be used further.
func (p *Proxy) reply(l *link, r *bufio.Reader, f fate) bool {
	frame := []byte("-" + f.answer + "\r\n")
	if f.answer == "" {
		var err error
		if frame, _, err = readFrame(r); err != nil || f.drop {
			return false
		}
	}
	if p.isSilent(l) {
		return true
	}
	p.mu.Lock()
	lag := p.lag
	p.mu.Unlock()
	if lag > 0 {
		<-time.After(lag)
	}
	if f.hold != nil {
		<-f.hold
	}
	_, err := l.client.Write(frame)
	return err == nil
}

func (p *Proxy) isSilent(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.silent
}

func (p *Proxy) chosen(words []string) fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	command := strings.ToLower(strings.Join(words, " "))
	for match, text := range p.answers {
		if strings.HasPrefix(command, match) {
			p.calls[match]++
			return fate{answer: text}
		}
	}
	f := fate{hold: p.hold(command)}
	if p.nth == 0 || !strings.HasPrefix(command, p.match) {
		return f
	}
	p.nth--
	if p.nth > 0 {
		return f
	}
	p.dropped++
	p.nth = p.every
	f.drop = true
	return f
}

// readFrame reads one RESP2 value. It returns its bytes, and the first two bulk strings in
// it.
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
