package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// policy is a Content-Security-Policy like that of the dashboard.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"require-trusted-types-for 'script'"

// broken are bodies of pages, and a part of what must be said of each. The last one is in order.
var broken = []struct{ name, body, says string }{
	{"an inline script", `<script>document.title = "ran"</script>`, "policy: script-src"},
	{"an inline style", `<p style="color: red">text</p>`, "policy: style-src"},
	{"an image from elsewhere", `<img alt="" src="http://127.0.0.2:9/x.png">`, "policy: img-src"},
	{"text that becomes a script", `<p id="p">text</p><script src="/inner.js"></script>`,
		"policy: require-trusted-types-for"},
	{"an error in the console", `<script src="/error.js"></script>`, `console: "broken"`},
	{"an exception", `<script src="/throw.js"></script>`, "exception: Error: thrown"},
	{"a file that is not there", `<img alt="" src="/missing.png">`, "network: "},
	{"a dialog", `<script src="/alert.js"></script>`, "dialog: hello"},
	{"faint text", `<p class="faint">text</p>`, "serious: color-contrast"},
	{"a field without a name", `<input>`, "critical: label"},
	{"a wide element", `<p class="wide">text</p>`, "wider than the window: the page"},
	{"nothing", `<table class="scroll"><tr><td>text</table>`, ""},
}

// files are what the broken pages load.
var files = map[string]string{
	"/inner.js": `document.getElementById("p").innerHTML = "<b>x</b>"`,
	"/icon.png": "", "/error.js": `console.error("broken")`,
	"/throw.js": `throw new Error("thrown")`,
	"/alert.js": `alert("hello")`, "/title.js": `document.title = "ran"`,
	"/style.css": `.faint { color: #ccc; background: #fff } .wide { width: 5000px }
		@media (prefers-color-scheme: dark) { html { background: #000; color: #fff } }`,
}

// serveBroken serves the broken pages at their names.
func serveBroken(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		body, found := files[r.URL.Path]
		if strings.HasSuffix(r.URL.Path, ".css") {
			w.Header().Set("Content-Type", "text/css")
		}
		for _, b := range broken {
			if r.URL.Path == "/"+b.name {
				body, found = fmt.Sprintf(`<!doctype html><html lang="en"><head><title>x</title>
					<link rel="icon" href="/icon.png"><link rel="stylesheet" href="/style.css">
					<script src="/title.js"></script></head>
					<body><main><h1>Title</h1>%s</main></body></html>`, b.body), true
			}
		}
		if !found {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, body)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestCheck(t *testing.T) {
	base, p := serveBroken(t), newChromium(t).open(t)
	for _, b := range broken {
		t.Run("finds "+b.name, func(t *testing.T) {
			p := p.with(t, look{"en", "light", narrow, true})
			said := p.problems(spot{url: base + "/" + b.name, status: http.StatusOK})
			if text := strings.Join(said, "\n"); b.says == "" && text != "" ||
				!strings.Contains(text, b.says) {
				t.Errorf("want %q, not %q", b.says, text)
			}
		})
	}
	t.Run("finds a wrong status and a wrong language", func(t *testing.T) {
		p := p.with(t, look{"ja", "light", wide, true})
		said := strings.Join(p.problems(spot{url: base + "/nothing", status: 404}), "\n")
		for _, want := range []string{"status 200, want 404", `the language is "en"`} {
			if !strings.Contains(said, want) {
				t.Errorf("no %q in %q", want, said)
			}
		}
	})
}

func TestLook(t *testing.T) {
	base, p := serveBroken(t), newChromium(t).open(t)
	for l := range looks() {
		t.Run(l.String(), func(t *testing.T) {
			p := p.with(t, l)
			p.visit(base + "/nothing")
			got := value[string](p, `[innerWidth, document.title, navigator.onLine,
				getComputedStyle(document.documentElement).color].join(" ")`)
			title, color := "x", "rgb(0, 0, 0)"
			if l.script {
				title = "ran"
			}
			if l.scheme == "dark" {
				color = "rgb(255, 255, 255)"
			}
			if want := fmt.Sprint(l.width, " ", title, " true ", color); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
