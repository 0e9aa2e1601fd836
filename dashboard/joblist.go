package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/inspect"
)

const (
	// pageSize is how many jobs a page lists.
	pageSize = 25
	// searchTime is how long a search may take. A queue may have millions of jobs.
	searchTime = 2 * time.Second
)

// pager says which part of a list a page shows.
type pager struct {
	First   int64 `json:"first"` // from 1; 0 if there are none
	Last    int64 `json:"last"`
	Total   int64 `json:"total"`
	AtLeast bool  `json:"at_least"` // the search stopped after Read jobs: there may be more
	Read    int64 `json:"read,omitempty"`
	page    int64 // from 1
	path    string
	query   url.Values
}

// pager reads which page is wanted.
func (q *request) pager() pager {
	page, err := strconv.ParseInt(q.FormValue("page"), 10, 32)
	if err != nil || page < 1 {
		page = 1
	}
	query := url.Values{}
	if text := q.FormValue("filter"); text != "" {
		query.Set("filter", text)
	}
	return pager{page: page, path: q.URL.EscapedPath(), query: query}
}

func (p *pager) offset() int64 { return (p.page - 1) * pageSize }

// shows notes how many of a list the page shows.
func (p *pager) shows(count int, total int64) {
	p.Total = total
	if count > 0 {
		p.First, p.Last = p.offset()+1, p.offset()+int64(count)
	}
}

// Back is the page before this one, and Next the one behind it; "" if there is none.
func (p pager) Back() string {
	if p.page < 2 {
		return ""
	}
	return p.to(p.page - 1)
}

func (p pager) Next() string {
	if p.offset()+pageSize >= p.Total {
		return ""
	}
	return p.to(p.page + 1)
}

func (p pager) to(page int64) string {
	p.query.Set("page", strconv.FormatInt(page, 10))
	return p.path + "?" + p.query.Encode()
}

// part is the part of a list that the page shows.
func part[T any](p *pager, list []T) []T {
	from := min(p.offset(), int64(len(list)))
	shown := list[from:min(from+pageSize, int64(len(list)))]
	p.shows(len(shown), int64(len(list)))
	return shown
}

// jobList is the data of a page of jobs.
type jobList struct {
	Source  source               `json:"-"`
	Queue   *inspect.QueueStatus `json:"queue,omitempty"` // if the source is one
	Filter  string               `json:"filter"`
	Problem string               `json:"problem,omitempty"` // of the filter
	Jobs    []row                `json:"jobs"`
	Pager   pager                `json:"page"`
	Back    string               `json:"-"` // the query of the page, for forms
}

// When is the key of the title of the column of times.
func (l *jobList) When() string { return "when." + l.Source.Key }

// listOf makes the page of a source.
func listOf(open func(*request) (source, error)) func(*request) (*view, error) {
	return func(q *request) (*view, error) {
		s, err := open(q)
		if err != nil {
			return nil, err
		}
		l := &jobList{Source: s, Filter: strings.TrimSpace(q.FormValue("filter")),
			Pager: q.pager(), Back: q.URL.RawQuery, Jobs: []row{}}
		if s.Key == "queue" {
			if l.Queue, err = q.queueStatus(s.Name); err != nil {
				return nil, err
			}
		}
		v := &view{page: "jobs", nav: s.nav(), title: s.heading(q), data: l}
		f, wrong := inspect.ParseFilter(l.Filter)
		switch {
		case wrong != nil:
			l.Problem, v.status = wrong.Error(), http.StatusBadRequest
		case f.Empty():
			err = l.read(q.ctx)
		default:
			err = l.search(q.ctx, f)
		}
		return v, err
	}
}

// read lists jobs without a filter.
func (l *jobList) read(ctx context.Context) error {
	total, err := l.Source.size(ctx)
	if err != nil {
		return err
	}
	list, err := l.Source.page(ctx, l.Pager.offset(), pageSize)
	l.Jobs = append(l.Jobs, list...)
	l.Pager.shows(len(list), total)
	return err
}

// search lists the jobs that a filter chooses, among those that it can read in searchTime.
func (l *jobList) search(ctx context.Context, f inspect.Filter) error {
	within, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	met := int64(0)
	seen, matched, err := l.Source.search(within, f, time.Now(), func(r func() row) {
		if met++; met > l.Pager.offset() && len(l.Jobs) < pageSize {
			l.Jobs = append(l.Jobs, r())
		}
	})
	if err != nil && ctx.Err() == nil && redisdb.Over(within) {
		l.Pager.AtLeast, l.Pager.Read, err = true, seen, nil
	}
	l.Pager.shows(len(l.Jobs), matched)
	return err
}
