package browser

import (
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// axe is axe-core, which finds what people with disabilities cannot use. See
// testdata/axe/README.md.
//
//go:embed testdata/axe/axe.min.js
var axe string

// finding is a rule of axe-core that a page breaks.
type finding struct {
	ID     string
	Impact string // minor, moderate, serious or critical
	Help   string
	Nodes  []struct {
		Target         []any // selectors of the element
		FailureSummary string
	}
}

func (f finding) String() string {
	text := fmt.Sprintf("%s: %s: %s", f.Impact, f.ID, f.Help)
	for _, n := range f.Nodes[:min(len(f.Nodes), 3)] {
		text += fmt.Sprintf("\n  %v: %s", n.Target,
			strings.ReplaceAll(n.FailureSummary, "\n", " "))
	}
	return text
}

// barriers are the serious and critical findings of axe-core in the page.
//
// It runs in an isolated world. There it sees the document, but the page's policy and the page's
// scripts do not see it. So nothing has to be switched off (Page.setBypassCSP would switch off the
// policy for what the page does meanwhile, too), and the policy stays checked all the time.
func (p *tab) barriers() (serious []finding) {
	p.Helper()
	frame := call(p, page.GetFrameTree, cdp.Empty{}).FrameTree.Frame.ID
	world := call(p, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame})
	var answer []byte
	yes := true
	for _, script := range []string{axe, `axe.run({resultTypes: ["violations"]})
		.then(r => JSON.stringify(r.violations))`} {
		r := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: script,
			ContextID: world.ExecutionContextID, AwaitPromise: &yes, ReturnByValue: &yes})
		if r.ExceptionDetails != nil {
			p.Fatalf("axe-core: %s", exception(r.ExceptionDetails))
		}
		answer = r.Result.Value
	}
	var text string
	var all []finding
	for _, err := range []error{json.Unmarshal(answer, &text), json.Unmarshal([]byte(text), &all)} {
		if err != nil {
			p.Fatalf("axe-core says %.200s: %v", answer, err)
		}
	}
	for _, f := range all {
		if f.Impact == "serious" || f.Impact == "critical" {
			serious = append(serious, f)
		}
	}
	return serious
}

func TestAxe(t *testing.T) {
	t.Run("is the file that its README names", func(t *testing.T) {
		readme, err := os.ReadFile("testdata/axe/README.md")
		if err != nil {
			t.Fatal(err)
		}
		sum := sha512.Sum512([]byte(axe))
		text := base64.StdEncoding.EncodeToString(sum[:])
		if !strings.Contains(string(readme), text) {
			t.Errorf("axe.min.js has the sha512 %s", text)
		}
	})
}
