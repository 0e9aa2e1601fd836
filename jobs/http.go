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
	requestLimit = 30 * time.Second // for a request with its answer
	maxBody      = 1 << 20          // bytes of an answer, unpacked
	maxRedirects = 3
)

// HTTP is the one client for what the jobs ask of other servers: its connections
// are kept and shared, and only go where the guard lets them.
type HTTP struct {
	transport *http.Transport
	follow    *http.Client
	agent     string
}

// NewHTTP makes a client. agent is its User-Agent.
func NewHTTP(g *guard.Guard, agent string) *HTTP {
	t := &http.Transport{
		DialContext:            g.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &HTTP{transport: t, agent: agent, follow: &http.Client{Transport: t,
		CheckRedirect: redirect}}
}

// redirect lets a GET follow three redirects, each checked as the first URL was.
func redirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return guard.CheckURL(r.URL)
}

// Close closes the connections that nobody uses.
func (h *HTTP) Close() { h.transport.CloseIdleConnections() }

// StatusError is an answer that is no success.
type StatusError struct {
	Code int
	Host string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %d %s", e.Host, e.Code, http.StatusText(e.Code))
}

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	url    *url.URL // after redirects
	body   []byte   // up to maxBody
}

// errTooLarge says that an answer is longer than we read.
var errTooLarge = fmt.Errorf("the answer is longer than %d bytes", maxBody)

// get asks for a URL and follows redirects. The whole takes at most requestLimit,
// however slowly the body drips. An answer that is too long is an error unless
// truncate is set.
func (h *HTTP) get(ctx context.Context, raw string, header http.Header,
	truncate bool) (*answer, error) {
	u, err := guard.ParseURL(raw)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, requestLimit,
		errors.New("the answer took too long"))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", h.agent)
	response, err := h.follow.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		if !truncate {
			return nil, errTooLarge
		}
		body = body[:maxBody]
	}
	return &answer{response.StatusCode, response.Header, response.Request.URL, body}, nil
}

// send makes one request and reads the answer away, so that its connection can be
// used again. Redirects are the caller's: what is signed must be signed anew.
func (h *HTTP) send(r *http.Request) (*answer, error) {
	r.Header.Set("User-Agent", h.agent)
	response, err := h.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	// An answer that does not end has been given all the same.
	io.Copy(io.Discard, io.LimitReader(response.Body, maxBody))
	return &answer{status: response.StatusCode, header: response.Header, url: r.URL}, nil
}
