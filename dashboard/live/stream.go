package live

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// ServeHTTP sends the stream: "event: state" with the newest state, "event: trouble" when the
// state cannot be read, "event: bye" at the end. A slow client is sent the newest state when it
// has taken the one before, and is dropped when it does not take a frame within 30 s. A client
// that names the state it has (header Last-Event-ID, or parameter last-event-id) is sent a state
// only if there is another. It answers 503 with Retry-After when there are too many clients, and
// after Run has ended.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.head(w.Header(), r)
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "The stream can only be read: want GET.", http.StatusMethodNotAllowed)
		return
	}
	c := &client{mail: make(chan *frame, 1), address: h.options.Address(r)}
	if err := h.join(c); err != nil {
		seconds := 5 + rand.IntN(11)
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		http.Error(w, fmt.Sprintf("There is no stream for you now: %v. Try again in %d s.", err,
			seconds), http.StatusServiceUnavailable)
		return
	}
	defer h.leave(c)
	s := &stream{w: w, control: http.NewResponseController(w), patience: h.patience,
		seen: cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("last-event-id"))}
	if err := s.control.SetReadDeadline(time.Time{}); errors.Is(err, http.ErrNotSupported) {
		http.Error(w, "The server cannot stream: a handler around this one hides the connection.",
			http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	h.serve(s, c, r.Context().Done())
}

// head sets the headers of every answer.
func (h *Hub) head(header http.Header, r *http.Request) {
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx sends each frame at once
	if h.options.Origin == "" {
		return
	}
	if h.options.Origin == "*" {
		header.Set("Access-Control-Allow-Origin", "*")
		return
	}
	header.Set("Vary", "Origin")
	if r.Header.Get("Origin") == h.options.Origin {
		header.Set("Access-Control-Allow-Origin", h.options.Origin)
	}
}

// serve sends the frames of a client until it is gone, or its time is over.
func (h *Hub) serve(s *stream, c *client, gone <-chan struct{}) {
	end := time.Now().Add(h.options.Age - rand.N(h.options.Age/2+1))
	if s.send(hello(h.retry())) != nil {
		return
	}
	for time.Now().Before(end) {
		select {
		case f := <-c.mail:
			if s.show(f) != nil {
				return
			}
		case <-gone:
			return
		case <-h.done:
			s.send(bye(h.retry())) // the stream ends also if this fails
			return
		}
	}
	s.send(bye(h.retry()))
}

// stream is the answer to one client.
type stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	seen     string // id of the frame that the client has
}

// show sends a frame that the client does not have.
func (s *stream) show(f *frame) error {
	if f.id != "" && f.id == s.seen {
		return nil
	}
	if f.id != "" {
		s.seen = f.id
	}
	return s.send(f.bytes)
}

// send returns an error if the client does not take the bytes in time. Between frames there is no
// deadline, because HTTP/2 would end the stream at it.
func (s *stream) send(b []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	if err := s.control.Flush(); err != nil {
		return err
	}
	return s.control.SetWriteDeadline(time.Time{})
}
