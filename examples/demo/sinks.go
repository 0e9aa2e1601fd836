package main

import (
	"bufio"
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/httpsig"
)

// others are the servers to which the jobs connect: a web server with an inbox that checks
// signatures and with objects, and a mail server. Both listen on a loopback address.
type others struct {
	web, smtp net.Listener
	key       *rsa.PublicKey // of the account that signs
	busy      atomic.Bool    // the web server answers the next GET with 503

	// The servers' goroutines write these counts and the demo reads them, under mu.
	mu         sync.Mutex
	deliveries int      // with a valid signature
	mails      []string // their recipients
	objects    int      // requests for an object
}

// listen starts the servers.
func listen(key *rsa.PublicKey) (*others, error) {
	o := &others{key: key}
	var err error
	if o.web, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if o.smtp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go http.Serve(o.web, o) // ends when its listener is closed
	go o.serveMail()        // ends when its listener is closed
	return o, nil
}

func (o *others) close() {
	o.web.Close()
	o.smtp.Close()
}

func (o *others) url(path string) string { return "http://" + o.web.Addr().String() + path }

// ServeHTTP answers like another server of the network.
func (o *others) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		o.inbox(w, r)
	case o.busy.CompareAndSwap(true, false):
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	case strings.HasPrefix(r.URL.Path, "/notes/"):
		w.Header().Set("Content-Type", "application/activity+json")
		fmt.Fprintf(w, `{"id":%q,"type":"Note","content":"Hello"}`, o.url(r.URL.Path))
		o.mu.Lock()
		o.objects++
		o.mu.Unlock()
	default:
		http.NotFound(w, r)
	}
}

func (o *others) inbox(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		_, err = httpsig.Verify(r, body, func(string) (crypto.PublicKey, error) {
			return o.key, nil
		}, time.Now())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/slow" {
		select {
		case <-time.After(2 * time.Second):
		case <-r.Context().Done():
			return
		}
	}
	o.mu.Lock()
	o.deliveries++
	o.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

func (o *others) serveMail() {
	for {
		conn, err := o.smtp.Accept()
		if err != nil {
			return
		}
		go o.takeMail(conn) // ends with the connection, or after 10 s
	}
}

// takeMail receives a mail by the few SMTP commands that this needs.
func (o *others) takeMail(conn net.Conn) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	say := func(line string) { io.WriteString(conn, line+"\r\n") }
	say("220 demo")
	to := ""
	for in := bufio.NewScanner(conn); in.Scan(); {
		line := in.Text()
		verb := strings.ToUpper(line + "    ")[:4]
		switch verb {
		case "RCPT":
			_, to, _ = strings.Cut(line, ":")
			say("250 OK")
		case "DATA":
			say("354 go on")
			for in.Scan() && in.Text() != "." {
			}
			if strings.Contains(to, "slow@") {
				time.Sleep(2 * time.Second)
			}
			o.mu.Lock()
			o.mails = append(o.mails, to)
			o.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 OK")
		}
	}
}

// report tells what the servers have received.
func (o *others) report() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprintf("%d deliveries with a good signature, %d mails, %d objects asked for",
		o.deliveries, len(o.mails), o.objects)
}
