package browser

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// told is what the browser says about the page of a tab: errors of the console, violations of the
// Content-Security-Policy, dialogs.
type told struct {
	dismiss func() // closes a dialog

	mu   sync.Mutex
	list []string
}

// enable makes a tab tell everything.
func (w *told) enable(p *tab) {
	w.dismiss = func() {
		chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
	}
	for _, command := range []cdp.Command[cdp.Empty, cdp.Empty]{log.Enable, audits.Enable,
		runtime.Enable} {
		call(p, command, cdp.Empty{})
	}
	call(p, page.Enable, page.EnableParams{})
}

// event notes an event of the browser.
func (w *told) event(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError ||
			e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, a := range e.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			w.add("console: %s", strings.Join(words, " "))
		}
	case *runtime.EventExceptionThrown:
		w.add("exception: %s", exception(e.ExceptionDetails))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			w.add("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			w.add("policy: %s %s", d.ViolatedDirective, d.BlockedURL)
		}
	case *page.EventJavascriptDialogOpening:
		w.add("dialog: %s", e.Message)
		go w.dismiss() // an answer cannot be awaited here
	}
}

func (w *told) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, fmt.Sprintf(format, args...))
}

// all is what was told since forget.
func (w *told) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

func (w *told) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = nil
}

// exception is the text of an exception.
func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil {
		return d.Exception.Description
	}
	return d.Text
}
