package dashboard_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"golang.org/x/net/html"
)

// hostile are texts that would break a page which shows them as they are. Each has the mark, by
// which the test finds where it went.
var hostile = []string{
	`<script>mark()</script>`, `</code></td><script>mark()</script>`, `"><img src=mark onerror=x>`,
	`' onmouseover='mark()`, `" onfocus="mark()" autofocus="`, `javascript:mark()`,
	`data:text/html,<script>mark()</script>`, `{{.mark}}`, `<!--mark`, `]]><mark`, `&lt;mark&gt;`,
	"mark\u202Egnp.exe", "mark\u2066\u2067\u200F", "mark\x00nul", "mark\r\nSet-Cookie: a=b",
	"mark\x1b[31m", "mark\u2028line", "</title><script>mark()</script>",
	"</textarea><svg/onload=mark>",
	"mark%s%d%!(EXTRA)", strings.Repeat("mark-", 20_000), "../../mark", "mark?a=b&lang=ja#x",
	`\"mark\u003cscript\u003e`, "マーク mark", "<style>*{mark}</style>", `<base href="//mark">`,
}

// structure is what scripts and styles could hide in: the elements of a page and their attributes.
func structure(t *testing.T, page string) (elements map[string]int) {
	t.Helper()
	elements = map[string]int{}
	tokens := html.NewTokenizer(strings.NewReader(page))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return elements
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			if token.Data != "script" || !isFile(token) || tokens.Next() != html.EndTagToken {
				elements[token.Data]++
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" {
					t.Errorf("<%s> has %s=%q", token.Data, a.Key, a.Val)
				}
				linked := a.Key == "href" || a.Key == "src" || a.Key == "action"
				if linked && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") {
					t.Errorf("<%s> leads to %q", token.Data, a.Val)
				}
			}
		}
	}
}

// isFile says that a script is a file of the dashboard. Its element must be empty.
func isFile(script html.Token) bool {
	return slices.ContainsFunc(script.Attr, func(a html.Attribute) bool {
		return a.Key == "src" && strings.HasPrefix(a.Val, "/assets/")
	})
}

// shown is what a page shows, without the values of its forms, which go back as they are.
func shown(page string) string {
	var b strings.Builder
	for tokens := html.NewTokenizer(strings.NewReader(page)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			b.Write(tokens.Text())
		case html.StartTagToken:
			for _, a := range tokens.Token().Attr {
				if a.Key != "value" {
					b.WriteString(a.Val)
				}
			}
		}
	}
}

func TestHostileTexts(t *testing.T) {
	for _, text := range hostile {
		name := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '.'
			}
			return r
		}, text[:min(len(text), 30)])
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			jid := f.hostile(text)
			q := text[:min(len(text), 500)]
			for _, path := range []string{"/", "/queues", "/queues/" + url.PathEscape(q), "/busy",
				"/processes", "/processes/web1:1:x", "/retries", "/dead", "/scheduled", "/held",
				"/held/" + url.PathEscape(q), "/operations", "/audit", "/jobs/plain", "/metrics",
				"/metrics/" + url.PathEscape(q), "/metrics?queue=" + url.QueryEscape(q),
				"/retries?filter=" + url.QueryEscape(`"`+strings.Trim(q, `"`)+`"`),
				"/audit?text=" + url.QueryEscape(q), "/jobs/" + url.PathEscape(jid)} {
				f.harmless(path)
			}
		})
	}
}

// harmless checks a page that shows hostile texts.
func (f *fixture) harmless(path string) {
	f.Helper()
	answer := f.send("GET", path, nil)
	page := body(answer)
	if answer.StatusCode >= 500 {
		f.Errorf("%.80s: status %d: %.500s", path, answer.StatusCode, page)
	}
	for _, name := range []string{"script", "img", "style", "base", "textarea"} {
		if n := structure(f.T, page)[name]; n > 0 {
			f.Errorf("%.80s: %d elements %s", path, n, name)
		}
	}
	if !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
		f.Errorf("%.80s: the page does not end: %q", path, page[max(0, len(page)-100):])
	}
	for _, r := range "\x00\x1b\u202E\u2066\u2067\u200F\u2028" {
		if strings.ContainsRune(shown(page), r) {
			f.Errorf("%.80s: %U is in the page", path, r)
		}
	}
	if len(page) > 1<<20 {
		f.Errorf("%.80s: %d bytes", path, len(page))
	}
	if answer.Header.Get("Set-Cookie") != "" {
		f.Errorf("%.80s: sets a cookie", path)
	}
}

// hostile puts a text into each field of jobs and of a process.
func (f *fixture) hostile(text string) (jid string) {
	f.Helper()
	q := text[:min(len(text), 500)] // a name of a queue is not longer
	more := fields{"args": []any{text, fields{text: text}}, "error_class": text,
		"tags": []string{text}, "error_message": text, "error_backtrace": []string{text},
		text: text, "retry_count": 1, "kyu": fields{text: text}}
	old := time.Now().Add(-time.Hour)
	bad, plain := payload(text, text, q, old, more), payload("plain", text, q, old, more)
	ctx := f.Context()
	f.must(f.raw.SAdd(ctx, "queues", q).Err())
	f.must(f.raw.LPush(ctx, "queue:"+q, bad, text).Err())
	f.must(f.raw.ZAdd(ctx, "retry", z(later, bad), z(later, plain), z(later, text)).Err())
	f.must(f.raw.ZAdd(ctx, "dead", z(old, bad), z(old, text)).Err())
	f.must(f.raw.ZAdd(ctx, "schedule", z(later, bad)).Err())
	f.must(f.raw.SAdd(ctx, "kyu:held", q).Err())
	f.must(f.raw.ZAdd(ctx, "kyu:hold:"+q, z(old, bad)).Err())
	info := fields{"hostname": text, "tag": text, "version": text, "queues": []string{q},
		"labels": []string{text}, "concurrency": 5}
	f.process("web1:1:x", info, bad)
	f.process("h:1:"+q, info, bad)
	work, err := json.Marshal(fields{"queue": q, "run_at": 1, "payload": text})
	f.must(err)
	f.must(f.raw.HSet(ctx, "web1:1:x:work", text, work).Err())
	f.written(q, 2, 1)
	f.ran(q, 1, 1, 0)
	_, err = f.in.MarkDeploy(ctx, text+"!", time.Now())
	f.must(err)
	f.must(f.in.Record(ctx, inspect.Act{By: text, Host: text, Command: text, What: text}))
	_, err = f.in.Begin(ctx, inspect.Request{Verb: "delete", Set: "kyu:hold:" + q, By: text,
		Host: text, JIDs: []string{text}})
	f.must(err)
	return q
}
