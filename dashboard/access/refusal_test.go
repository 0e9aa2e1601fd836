package access

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRefusal(t *testing.T) {
	a := open(t, Options{})
	t.Run("is a page for browsers, in their language", func(t *testing.T) {
		w := serve(a, "GET", "/", html, host("<b>evil"), header("Accept-Language", "ja"))
		answered(t, w, 403, `<html lang="ja">`)
		answered(t, w, 403, "ヘッダー Host は &#34;&lt;b&gt;evil&#34; です")
		if strings.Contains(w.Body.String(), "<form") || strings.Contains(w.Body.String(), "<b>") {
			t.Errorf("the page is %s", w.Body)
		}
	})
	t.Run("is text for others", func(t *testing.T) {
		w := serve(a, "GET", "/", host("<b>evil"), header("Accept-Language", "ja"))
		answered(t, w, 403, `The header Host is "<b>evil"`)
		if kind := w.Header().Get("Content-Type"); kind != "text/plain; charset=utf-8" {
			t.Errorf("Content-Type is %s", kind)
		}
	})
	t.Run("shortens what strangers send", func(t *testing.T) {
		w := serve(a, "GET", "/", host(strings.Repeat("a", 5000)))
		if answered(t, w, 403, "…"); w.Body.Len() > 500 {
			t.Errorf("the text has %d bytes", w.Body.Len())
		}
	})
	t.Run("has a strict policy, no cache, and nothing inline", func(t *testing.T) {
		for name, w := range map[string]*httptest.ResponseRecorder{
			"page": serve(a, "GET", "/", html, host("x")),
			"text": serve(a, "GET", "/", host("x"))} {
			for header, want := range map[string]string{"Cache-Control": "no-store",
				"Content-Security-Policy": "default-src 'none'; style-src 'self'; " +
					"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
				"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s: %s is %q", name, header, got)
				}
			}
			for _, inline := range []string{"<style", "style=", "<script", "onclick"} {
				if strings.Contains(w.Body.String(), inline) {
					t.Errorf("%s has %s", name, inline)
				}
			}
		}
	})
	t.Run("has a style sheet that everybody can read", func(t *testing.T) {
		w := serve(a, "GET", "/access.css", host("x"))
		answered(t, w, 200, "color-scheme: light dark")
		if kind := w.Header().Get("Content-Type"); kind != "text/css; charset=utf-8" {
			t.Errorf("Content-Type is %s", kind)
		}
	})
}
