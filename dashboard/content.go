package dashboard

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// contentHeader asks for the content of a live page without what is around it. The scripts of the
// pages send it when the stream says that something has changed.
const contentHeader = "Kyu-Content"

// contentAge is for how long the content of a live page is good for those that ask for it again. So
// the load on Redis depends on how many pages are open, and not on how many people look at them.
const contentAge = time.Second

// contents are the contents of live pages that were asked for lately.
type contents struct {
	age  time.Duration
	mu   sync.Mutex
	list map[string]*content // by page, language and role
}

// content is the content of a page. at and its result are written before ready is closed.
type content struct {
	ready chan struct{}
	at    time.Time // when it was made
	body  []byte
	err   error
}

// get returns a content, made by fn unless somebody made it lately or makes it now. The error of fn
// is good for as long as a content.
func (c *contents) get(ctx context.Context, key string, fn func() ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	maps.DeleteFunc(c.list, func(_ string, old *content) bool { return old.over(c.age) })
	found, known := c.list[key]
	if !known {
		found = &content{ready: make(chan struct{})}
		c.list[key] = found
	}
	c.mu.Unlock()
	if !known {
		found.err = errors.New("the page was not made") // if fn panics
		defer close(found.ready)
		found.body, found.err = fn()
		found.at = time.Now()
		return found.body, found.err
	}
	select {
	case <-found.ready:
		return found.body, found.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// over reports whether the content was made too long ago.
func (c *content) over(age time.Duration) bool {
	select {
	case <-c.ready:
		return time.Since(c.at) > age
	default:
		return false
	}
}

// clear forgets all contents: something has changed.
func (c *contents) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.list)
}

// answerContent answers with the content of a live page. All persons of a role are shown the same.
func (q *request) answerContent(r route) {
	key := q.URL.RequestURI() + " " + q.lang + " " + q.person.Role.String()
	b, err := q.d.contents.get(q.ctx, key, func() ([]byte, error) {
		// Others may wait for it, so it does not end with this request.
		ctx, cancel := context.WithTimeout(q.d.ctx, answerWithin)
		defer cancel()
		shared := *q
		shared.ctx = ctx
		v, err := r.read(&shared)
		if err != nil {
			return nil, err
		}
		v.live = true
		return shared.render(v, true)
	})
	if err != nil {
		q.fail(err)
		return
	}
	q.send(b, 0)
}
