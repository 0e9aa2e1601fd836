package browser

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

func TestKeyboard(t *testing.T) {
	f := &fleet{Site: harness.New(t)}
	s := scene{f.Site, time.Now()}
	var list []redis.Z
	for i := range 5000 {
		list = append(list, redis.Z{Score: float64(s.now.Unix() + 3600 + int64(i)),
			Member: s.payload("Test::NoOp", "mailers", i, time.Hour, fields{"retry_count": 2,
				"error_class": "Boom", "error_message": fmt.Sprint("no answer ", i)})})
	}
	f.Must(f.Raw.ZAdd(f.Context(), "retry", list...).Err())
	f.Worker("-q", "mailers", "-q", "default", "-c", "5")
	load := make([][]any, 20_000)
	for i := range load {
		load[i] = []any{5}
	}
	_, err := f.Client.PushBulk(f.Context(), "Test::Sleep", load, queue.Options{})
	f.Must(err)
	f.url = f.dashboard()
	p := newChromium(t).open(t)
	for i, l := range []look{{"en", "light", wide, true}, {"ja", "dark", narrow, false}} {
		t.Run("finds, explains, deletes, restores and retries a job: "+l.String(),
			func(t *testing.T) { f.retryByKeys(p.with(t, l), jid(3000+i)) })
	}
}

// retryByKeys works on a job of the retry set without a mouse.
func (f *fleet) retryByKeys(p *tab, jid string) {
	p.visit(f.url + "/")
	p.follow(`nav a[href="/retries"]`, kb.Enter)
	p.find(jid)
	p.follow(fmt.Sprintf(`a[href="/jobs/%s"]`, jid), kb.Enter)
	p.shows("no answer", "workerctl retries retry "+jid)
	p.follow(`button[value="delete"]`, kb.Enter)
	if n := f.retries(jid); n != 0 {
		p.Errorf("%d jobs after the deletion", n)
	}
	p.tabTo(`nav summary`) // "More"
	p.press(kb.Enter)
	p.follow(`nav a[href="/operations"]`, kb.Enter)
	p.follow(`form[action$="/undo"] button`, kb.Enter)
	if n := f.retries(jid); n != 1 {
		p.Errorf("%d jobs after the undo", n)
	}
	p.follow(`nav a[href="/retries"]`, kb.Enter)
	p.find(jid)
	p.tabTo(fmt.Sprintf(`input[value="%s"]`, jid))
	p.press(" ")
	p.follow(`form[action="/retries/selected"] button[value="retry"]`, kb.Enter)
	f.Until(answerWithin, "the job has run", func() bool {
		answer, err := http.Get(f.url + "/jobs/" + jid)
		if err == nil {
			answer.Body.Close()
		}
		return err == nil && answer.StatusCode == http.StatusNotFound
	})
	for _, line := range p.told.all() {
		p.Error(line)
	}
}

// retries counts the jobs of the retry set with a JID.
func (f *fleet) retries(jid string) (n int) {
	all, err := f.Raw.ZRange(f.Context(), "retry", 0, -1).Result()
	f.Must(err)
	for _, member := range all {
		if strings.Contains(member, jid) {
			n++
		}
	}
	return n
}

// find filters the list by a JID.
func (p *tab) find(jid string) {
	p.Helper()
	p.tabTo("#filter")
	p.press("jid:" + jid)
	p.load(kb.Enter)
	p.shows(jid)
}

// press types keys.
func (p *tab) press(keys string) {
	p.Helper()
	run(p, chromedp.KeyEvent(keys))
}

// tabTo presses Tab until an element has the focus, and the focus can be seen.
func (p *tab) tabTo(selector string) {
	p.Helper()
	for range 200 {
		p.press(kb.Tab)
		if value[bool](p, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			if !value[bool](p, `(() => {
				const e = document.activeElement, box = e.getBoundingClientRect();
				return e.matches(":focus-visible") && box.top < innerHeight && box.bottom > 0 &&
					getComputedStyle(e).outlineStyle != "none";
			})()`) {
				p.Errorf("the focus on %s cannot be seen", selector)
			}
			return
		}
	}
	p.Fatalf("Tab does not come to %s: %s", selector, value[string](p, `document.body.innerText`))
}

// follow goes to an element and presses a key, which loads a page.
func (p *tab) follow(selector, key string) {
	p.Helper()
	p.tabTo(selector)
	p.load(key)
}

// load presses a key, and waits for the page that it loads.
func (p *tab) load(key string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, answerWithin)
	defer cancel()
	answer, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(key))
	if err != nil || answer.Status != http.StatusOK {
		p.Fatalf("%q loads %+v: %v", key, answer, err)
	}
}

// shows checks that the page has texts.
func (p *tab) shows(texts ...string) {
	p.Helper()
	page := value[string](p, `document.body.innerText`)
	for _, text := range texts {
		if !strings.Contains(page, text) {
			p.Errorf("no %q in %s", text, page)
		}
	}
}
