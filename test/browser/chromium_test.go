package browser

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// answerWithin is how long a browser may take for a step. Machines of tests are slow.
const answerWithin = 60 * time.Second

// chromium is a browser without a window, for one test.
type chromium struct{ ctx context.Context }

// newChromium starts a browser. It is closed at the end of the test, and what is left of its
// processes is killed by the id of their group.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	var cmd *exec.Cmd
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU,
		// Chromium's sandbox refuses root.
		chromedp.Flag("no-sandbox", os.Getuid() == 0),
		chromedp.ModifyCmdFunc(func(c *exec.Cmd) {
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
			cmd = c
		}))
	allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		closeBrowser()
		free()
		if cmd != nil && cmd.Process != nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v: is it installed? (make deps)", err)
	}
	return &chromium{ctx}
}

// look is how a person has a browser set up.
type look struct {
	lang   string // of Accept-Language
	scheme string // light or dark
	width  int64  // in pixels of CSS
	script bool   // JavaScript runs
}

func (l look) String() string {
	name := l.lang + " " + l.scheme + " wide"
	if l.width == narrow {
		name = l.lang + " " + l.scheme + " narrow"
	}
	if !l.script {
		name += " without JavaScript"
	}
	return name
}

const (
	wide   = 1200 // pixels
	narrow = 360  // pixels, as a telephone has them
)

// tab is a page of a browser, with cookies of its own. Its methods fail the test if the browser
// does not answer.
type tab struct {
	*testing.T
	ctx  context.Context
	look look
	told *told
}

// open opens a tab in a window of its own, so that its page is visible and is drawn.
func (c *chromium) open(t *testing.T) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(c.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(closeTab)
	p := &tab{T: t, ctx: ctx, told: new(told)}
	if err := chromedp.Listen(ctx, p.told.event); err != nil {
		t.Fatal(err)
	}
	p.told.enable(p)
	return p
}

// with returns the tab for a subtest, with another look.
func (p *tab) with(t *testing.T, l look) *tab {
	t.Helper()
	p = &tab{T: t, ctx: p.ctx, look: l, told: p.told}
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: l.width, Height: 900, DeviceScaleFactor: 1})
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"}}})
	call(p, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
		Headers: network.Headers{"Accept-Language": l.lang}})
	call(p, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: !l.script})
	return p
}

// run carries out an action, and returns its value.
func run[T any](p *tab, action chromedp.Action[T]) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, answerWithin)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		p.Fatal(err)
	}
	return v
}

// call sends a command of the DevTools protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.Helper()
	return run(p, func(ctx context.Context, to *chromedp.Target) (R, error) {
		return cdp.Call(ctx, to, command, params)
	})
}

// visit loads a page, and returns when it has been drawn and everything that it tells is known.
func (p *tab) visit(url string) {
	p.Helper()
	p.told.forget()
	run(p, chromedp.Navigate(url))
	if p.look.script { // the scripts that the page starts at once run before
		value[bool](p, `new Promise(done => requestAnimationFrame(
			() => requestAnimationFrame(() => done(true))))`)
	}
}

// value is the value of an expression of JavaScript in the page, also where its own scripts do not
// run.
func value[T any](p *tab, expression string) T {
	p.Helper()
	return run(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}
