package dashboard

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/queue/inspect"
)

// State is the Sample of the Hub whose stream the pages read (live.Options).
func State(in *inspect.Inspector) func(context.Context) ([]byte, error) {
	return sample(in.LiveState)
}

// FleetState is the Sample of several shards: their sums.
func FleetState(f *inspect.Fleet) func(context.Context) ([]byte, error) {
	return sample(f.LiveState)
}

func sample(read func(context.Context) (inspect.LiveState, error)) func(context.Context) ([]byte,
	error) {
	return func(ctx context.Context) ([]byte, error) {
		state, err := read(ctx)
		if err != nil {
			return nil, err
		}
		return json.Marshal(state)
	}
}

// streamRoutes are the stream, and the tickets for one that is elsewhere.
func (d *Dashboard) streamRoutes() (list []route) {
	if d.Live != nil {
		list = append(list, route{method: "GET", pattern: "/live", role: access.Viewer,
			serve: func(q *request) { d.Live.ServeHTTP(q.w, q.Request) }})
	}
	if d.Tickets != nil {
		list = append(list, route{method: "GET", pattern: "/ticket", role: access.Viewer,
			serve: (*request).ticket})
	}
	return list
}

// ticket answers with a ticket of the person. All answers of the dashboard are no-store.
func (q *request) ticket() {
	q.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	q.w.Write([]byte(q.d.Tickets.Issue(q.person.Name)))
}

// stream is the address of the stream for the pages; "" if there is none.
func (d *Dashboard) stream() string {
	d = d.home()
	switch {
	case d.StreamURL != "":
		return strings.TrimSuffix(d.StreamURL, "/") + "/live"
	case d.Live != nil:
		return d.path("live")
	}
	return ""
}

// ticketPath is where the pages get tickets; "" if the stream needs none.
func (d *Dashboard) ticketPath() string {
	d = d.home()
	if d.StreamURL == "" {
		return ""
	}
	return d.path("ticket")
}

// origin is the origin of an address that check has parsed.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
