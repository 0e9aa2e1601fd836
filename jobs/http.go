package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/kyujobs/kyu/internal/guard"
)

const (
	requestLimit = 30 * time.Second // for a request and its whole answer
	maxBody      = 1 << 20          // bytes of an answer's body, after decompression
	maxRedirects = 3
)

// HTTP is the client for all requests of the jobs to other servers. Its connections are
// reused and shared, and go only to addresses that the guard allows. The methods may be
// called from many goroutines.
type HTTP struct {
	transport *http.Transport
	agent     string
}

// NewHTTP makes a client. agent is the header User-Agent.
func NewHTTP(g *guard.Guard, agent string) *HTTP {
	return &HTTP{agent: agent, transport: &http.Transport{
		DialContext:            g.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// One connection carries all requests to a host, and a request that times out does not
		// close it. Without pings a connection whose other end has vanished fails every request.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 4 * time.Second,
			WriteByteTimeout: 10 * time.Second, MaxReceiveBufferPerStream: 256 << 10},
	}}
}

// Close closes the connections on which no request is under way.
func (h *HTTP) Close() { h.transport.CloseIdleConnections() }

// StatusError is the error for an answer that is not a success.
type StatusError struct {
	Code int    // the HTTP status
	Host string // the host that answered
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %d %s", e.Host, e.Code, http.StatusText(e.Code))
}

// answer is a server's answer.
type answer struct {
	status int
	header http.Header
	url    *url.URL // after redirects
	body   []byte   // at most maxBody bytes; nil after send
	cut    bool     // the body was longer
}

// signer signs a request for the host to which it goes.
type signer func(*http.Request) error

// get makes a GET request to a canonical URL and follows redirects. All of it takes at
// most requestLimit, also if the body arrives slowly. sign may be nil; else it signs each
// request.
func (h *HTTP) get(ctx context.Context, to *url.URL, header http.Header,
	sign signer) (*answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestLimit,
		errors.New("the answer took too long"))
	defer cancel()
	for hop := 0; ; hop++ {
		response, err := h.ask(ctx, to, header, sign)
		if err != nil {
			return nil, fmt.Errorf("GET %s: %w", to.Host, err)
		}
		next := response.Header.Get("Location")
		if !redirects[response.StatusCode] || next == "" {
			return read(ctx, response, to)
		}
		discard(response)
		if hop == maxRedirects {
			return nil, fmt.Errorf("more than %d redirects", maxRedirects)
		}
		if to, err = guard.ResolveURL(to, next); err != nil {
			return nil, err
		}
	}
}

// redirects are the statuses after which a GET goes on to the Location.
var redirects = map[int]bool{http.StatusMovedPermanently: true, http.StatusFound: true,
	http.StatusSeeOther: true, http.StatusTemporaryRedirect: true,
	http.StatusPermanentRedirect: true}

// ask makes one GET request.
func (h *HTTP) ask(ctx context.Context, to *url.URL, header http.Header,
	sign signer) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header = header.Clone()
	r.Header.Set("User-Agent", h.agent)
	if sign != nil {
		if err := sign(r); err != nil {
			return nil, err
		}
	}
	return h.transport.RoundTrip(r)
}

// read reads the body of an answer and closes it. At the end of its time a request is
// cancelled, and a server may end the body in good order then: it is not complete.
func read(ctx context.Context, response *http.Response, from *url.URL) (*answer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", from.Host, err)
	}
	return &answer{response.StatusCode, response.Header, from, body[:min(len(body), maxBody)],
		len(body) > maxBody}, nil
}

// discard reads the body of an answer, so that the connection can be used again. The
// status is known: an error while the body is read changes nothing.
func discard(response *http.Response) {
	io.Copy(io.Discard, io.LimitReader(response.Body, maxBody))
	response.Body.Close()
}

// send makes one request and discards the body of the answer, so that the connection can
// be used again. It does not follow redirects: the caller must sign each request anew.
func (h *HTTP) send(r *http.Request) (*answer, error) {
	r.Header.Set("User-Agent", h.agent)
	response, err := h.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	discard(response)
	return &answer{status: response.StatusCode, header: response.Header, url: r.URL}, nil
}
