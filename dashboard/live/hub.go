// Package live sends the state of the fleet to the browsers of the dashboard as server-sent events.
//
// A Hub samples the state once for all clients, and only while somebody listens. So the load on
// Redis depends on the number of processes with a Hub, and not on the number of clients. Several
// processes may serve the same page: they share nothing but the key of the Tickets.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options configure a Hub. Only Sample is required.
type Options struct {
	// Every is the time between the end of a sample and the next sample; 0 means 1 s.
	Every time.Duration
	// Sample returns the state as JSON. The Hub keeps the bytes, so Sample must not change them
	// later. Clients are sent only a state whose bytes differ from those before, so the state
	// should not contain the time of the sample. The context ends after 10 s.
	Sample func(context.Context) ([]byte, error)
	// Max is how many clients may listen at a time; 0 means 10,000.
	Max int
	// MaxEach is how many clients of one address may listen at a time; 0 means no limit.
	MaxEach int
	// Address is the address of a request for MaxEach. The default is the address of the
	// connection, which is the proxy's if there is one.
	Address func(*http.Request) string
	// Origin is the origin of the pages, such as https://kyu.example.com, if the stream has
	// another one. Scripts of this origin may read the stream. Empty: only those of its own. "*":
	// those of all origins, for a stream that only tickets open: no page but the dashboard's own
	// can get one.
	Origin string
	// Age is how long a stream lasts at most, less a random part of up to half; 0 means 15
	// minutes. Then the client comes back, and whoever guards the Hub can refuse it.
	Age time.Duration
	// Log gets two lines per outage of Sample; nil means slog.Default().
	Log *slog.Logger
}

// Times of a Hub. They are fixed, because clients and proxies depend on them.
const (
	patience    = 30 * time.Second // for a client to take a frame
	silence     = 15 * time.Second // until a comment shows that the stream still works
	sampleLimit = 10 * time.Second
)

// Hub is an http.Handler that sends the newest state to any number of clients. Run must run
// beside it.
type Hub struct {
	options  Options
	patience time.Duration
	arrived  chan struct{} // holds one value after somebody came
	done     chan struct{} // closed when Run ends

	mu      sync.Mutex
	clients map[*client]struct{}
	each    map[string]int // clients of an address, if MaxEach is set
	newest  *frame         // nil: nothing was sampled since somebody came
	stopped bool
	leaving int // how many clients there were when Run ended
}

// client is the mailbox of one stream. The mailbox holds one frame: the newest that the client has
// not taken. Only the Hub puts frames in, under its lock.
type client struct {
	mail    chan *frame
	address string
}

// New returns a Hub. It samples nothing before Run.
func New(o Options) *Hub {
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.Max <= 0 {
		o.Max = 10_000
	}
	if o.Age <= 0 {
		o.Age = 15 * time.Minute
	}
	if o.Address == nil {
		o.Address = connectionAddress
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Hub{options: o, patience: patience, arrived: make(chan struct{}, 1),
		done: make(chan struct{}), clients: map[*client]struct{}{}, each: map[string]int{}}
}

func connectionAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// Clients is how many clients listen now.
func (h *Hub) Clients() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients)
}

// join registers a client. The client is sent the newest frame, if there is one. An error is a
// text for the client.
func (h *Hub) join(c *client) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return errors.New("this process stops")
	case len(h.clients) >= h.options.Max:
		return fmt.Errorf("this process has %d clients, as many as it may have", h.options.Max)
	case h.options.MaxEach > 0 && h.each[c.address] >= h.options.MaxEach:
		return fmt.Errorf("your address has %d streams, as many as it may have",
			h.options.MaxEach)
	}
	h.clients[c] = struct{}{}
	if h.options.MaxEach > 0 {
		h.each[c.address]++
	}
	if h.newest != nil {
		c.mail <- h.newest
	}
	select {
	case h.arrived <- struct{}{}:
	default:
	}
	return nil
}

func (h *Hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
	if h.each[c.address]--; h.each[c.address] <= 0 {
		delete(h.each, c.address)
	}
}

// listened says whether anybody listens. If nobody does, the newest state is forgotten, because it
// will be old when somebody comes.
func (h *Hub) listened() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.clients) == 0 {
		h.newest = nil
	}
	return len(h.clients) > 0
}

// publish puts a frame into all mailboxes, in place of frames that were not taken. It does nothing
// and returns false if the frame is like the newest.
func (h *Hub) publish(f *frame) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.newest != nil && h.newest.id == f.id {
		return false
	}
	h.newest = f
	for c := range h.clients {
		select {
		case <-c.mail:
		default:
		}
		c.mail <- f // has room: nobody else puts frames in
	}
	return true
}

// ping puts a comment into the empty mailboxes.
func (h *Hub) ping() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		select {
		case c.mail <- ping:
		default:
		}
	}
}

// stop ends all streams, and refuses new ones.
func (h *Hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped, h.leaving = true, len(h.clients)
	close(h.done)
}

// retry is a random time after which a client should come back: more clients come back over a
// longer time, about 1,000 in a second.
func (h *Hub) retry() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := max(len(h.clients), h.leaving)
	return time.Second + rand.N(time.Second+time.Duration(n)*time.Millisecond)
}
