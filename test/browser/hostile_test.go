package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
	"golang.org/x/net/html"
)

// plain are harmless texts. Pages with them have all elements that a page may have.
var plain = []string{"plain", "two words", `"quoted" -tag:x`, `-"`, "age>x", ".", "..", "/", "",
	strings.Repeat("long ", 20_000), `{"a":1}`}

// nameOf is a text as the name of a queue or of a process. Such names are not long.
func nameOf(text string) string { return text[:min(len(text), 200)] }

func TestHostile(t *testing.T) {
	f := &fleet{Site: harness.New(t)}
	f.url = f.dashboard()
	patterns := f.patterns()
	parts := map[string]bool{} // of harmless pages
	for _, text := range plain {
		f.fill(text)
		for _, path := range pathsWith(patterns, text) {
			for _, part := range f.parts(t, path) {
				parts[part] = true
			}
		}
	}
	for _, text := range hostile {
		t.Run(fmt.Sprintf("%.40q", text), func(t *testing.T) {
			f.fill(text)
			for _, path := range pathsWith(patterns, text) {
				for _, part := range f.parts(t, path) {
					if !parts[part] {
						t.Errorf("%.80s has %.200s", path, part)
					}
				}
			}
		})
	}
	t.Run("the places of a text have pages", func(t *testing.T) {
		f.fill("plain")
		for _, path := range []string{"/queues/plain", "/held/plain", "/jobs/plain",
			"/processes/h:1:plain"} {
			answer, err := http.Get(f.url + path)
			f.Must(err)
			if answer.Body.Close(); answer.StatusCode != http.StatusOK {
				t.Errorf("%s: status %d", path, answer.StatusCode)
			}
		}
	})
	t.Run("no script runs in a browser", func(t *testing.T) {
		f.Must(f.Raw.FlushAll(f.Context()).Err())
		for _, text := range hostile {
			f.add(text)
		}
		p := newChromium(t).open(t).with(t, look{"en", "light", narrow, true})
		for _, path := range pathsWith(patterns, hostile[0]) {
			p.visit(f.url + path)
			for _, line := range p.told.all() {
				if !strings.HasPrefix(line, "network: ") { // an address of something unknown
					t.Errorf("%.80s: %s", path, line)
				}
			}
		}
	})
}

func TestPartsIn(t *testing.T) {
	got := strings.Join(partsIn(`<p>x<!--y--><a href="/x"><a href="//z" mark>`), " ")
	want := "<p> a comment <a> <a href> <a> <a href> <a> to //z <a mark>"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// pathsWith are paths of all pages, with a text in their parameters.
func pathsWith(patterns []string, text string) (list []string) {
	value := url.PathEscape(nameOf(text))
	for _, pattern := range patterns {
		path := strings.ReplaceAll(pattern, "{$}", "")
		for strings.Contains(path, "{") {
			before, rest, _ := strings.Cut(path, "{")
			name, after, _ := strings.Cut(rest, "}")
			if name == "identity" {
				before += "h:1:"
			}
			path = before + value + after
		}
		if strings.HasSuffix(path, "/confirm") {
			path += "?verb=delete"
		}
		list = append(list, path)
	}
	query := url.QueryEscape(nameOf(text))
	return append(list, "/retries?filter="+query, "/dead?page="+query, "/audit?text="+query,
		"/retries/confirm?verb="+query, "/retries/confirm?verb=kill&filter="+query)
}

// parts loads a page, and returns its elements with their attributes, and addresses to which it
// should not lead.
func (f *fleet) parts(t *testing.T, path string) (list []string) {
	t.Helper()
	answer, err := http.Get(f.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= http.StatusInternalServerError {
		t.Errorf("%.80s: status %d, %v: %.300s", path, answer.StatusCode, err, page)
	}
	if answer.Request.URL.Host != strings.TrimPrefix(f.url, "http://") {
		t.Errorf("%.80s leads to %s", path, answer.Request.URL)
	}
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
		return nil
	}
	if !strings.HasSuffix(strings.TrimSpace(string(page)), "</html>") {
		t.Errorf("%.80s does not end: %q", path, page[max(0, len(page)-100):])
	}
	return partsIn(string(page))
}

// partsIn lists the parts of a page.
func partsIn(page string) (list []string) {
	for tokens := html.NewTokenizer(strings.NewReader(page)); ; {
		switch tokens.Next() {
		case html.ErrorToken:
			return list
		case html.CommentToken:
			list = append(list, "a comment")
		case html.StartTagToken, html.SelfClosingTagToken:
			list = append(list, partsOf(tokens.Token())...)
		}
	}
}

// partsOf are the name of an element and of each attribute, and a foreign address.
func partsOf(element html.Token) (list []string) {
	list = append(list, "<"+element.Data+">")
	for _, a := range element.Attr {
		list = append(list, "<"+element.Data+" "+a.Key+">")
		foreign := !strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//") ||
			strings.HasPrefix(a.Val, `/\`)
		if slices.Contains([]string{"href", "src", "action", "formaction"}, a.Key) && foreign &&
			!strings.HasPrefix(a.Val, "#") {
			list = append(list, "<"+element.Data+"> to "+a.Val)
		}
	}
	return list
}

// fill empties the Redis, and puts a text into all fields.
func (f *fleet) fill(text string) {
	f.Must(f.Raw.FlushAll(f.Context()).Err())
	f.add(text)
}

// add puts a text into each field of jobs, of processes, of an operation and of the audit.
func (f *fleet) add(text string) {
	ctx, name, now := f.Context(), nameOf(text), float64(time.Now().Unix())
	job := fields{"jid": text, "class": text, "queue": name, "wrapped": text, "retry": true,
		"args": []any{text, fields{text: text}, fields{"job_class": text}}, "error_class": text,
		"error_message": text, "error_backtrace": []string{text}, "tags": []string{text},
		"retry_count": 1, "failed_at": now - 60, "created_at": now - 90, "enqueued_at": now - 80,
		"lock": text, "lock_digest": text, "bid": text, "locale": text, "retry_queue": text,
		text: text, "kyu": fields{text: text}}
	whole := f.json(job)
	job["jid"] = name
	named := f.json(job)
	f.Must(f.Raw.SAdd(ctx, "queues", name).Err())
	f.Must(f.Raw.LPush(ctx, "queue:"+name, whole, named, text).Err())
	for key, at := range map[string]float64{"retry": now + 3600, "schedule": now + 60,
		"dead": now - 60, "kyu:hold:" + name: now - 60} {
		f.Must(f.Raw.ZAdd(ctx, key, redis.Z{Score: at, Member: whole},
			redis.Z{Score: at, Member: text}).Err())
	}
	f.Must(f.Raw.SAdd(ctx, "kyu:held", name).Err())
	identity := "h:1:" + name
	info := f.json(fields{"hostname": text, "tag": text, "version": text, "queues": []string{name},
		"labels": []string{text}, "concurrency": 5, "pid": 1, "started_at": now})
	f.Must(f.Raw.SAdd(ctx, "processes", identity).Err())
	f.Must(f.Raw.HSet(ctx, identity, "info", info, "busy", 1, "beat", now, "quiet", "false",
		"rss", 2048).Err())
	f.Must(f.Raw.HSet(ctx, identity+":work", text, f.json(fields{"queue": name, "run_at": now,
		"payload": whole})).Err())
	act := inspect.Act{By: text, Host: text, Command: text, What: text}
	f.Must(f.inspector().Record(ctx, act))
	_, err := f.inspector().Begin(ctx, inspect.Request{Verb: "delete", Set: "kyu:hold:" + name,
		By: text, Host: text, JIDs: []string{text}})
	f.Must(err)
}

func (f *fleet) json(v any) string {
	b, err := json.Marshal(v)
	f.Must(err)
	return string(b)
}
