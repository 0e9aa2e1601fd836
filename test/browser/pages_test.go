package browser

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

var full = flag.Bool("full", false, "visit all pages with all 16 looks")

// languages are those of the dashboard.
var languages = []string{"en", "ja"}

// looks are all combinations, and whether those pages that are not main pages are visited with
// them. Among the five with true, each two settings come together in each way.
func looks() map[look]bool {
	all := map[look]bool{}
	for _, lang := range languages {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{wide, narrow} {
				for _, script := range []bool{true, false} {
					all[look{lang, scheme, width, script}] = *full
				}
			}
		}
	}
	for _, l := range []look{{"en", "light", narrow, false}, {"en", "dark", wide, true},
		{"ja", "light", wide, true}, {"ja", "dark", narrow, true}, {"ja", "dark", wide, false}} {
		all[l] = true
	}
	return all
}

func TestPages(t *testing.T) {
	f, c := newFleet(t), newChromium(t)
	spots := f.spots()
	// A group ends before the browser and the fleet do. Each language has a tab.
	t.Run("look right", func(t *testing.T) {
		for _, lang := range languages {
			t.Run(lang, func(t *testing.T) {
				t.Parallel()
				p := c.open(t)
				for l, all := range looks() {
					if l.lang == lang {
						t.Run(l.String(), func(t *testing.T) { p.with(t, l).visitAll(spots, all) })
					}
				}
			})
		}
	})
}

// visitAll checks all pages, or only the main pages.
func (p *tab) visitAll(spots []spot, all bool) {
	for _, s := range spots {
		if all || s.main {
			p.Run(s.name, func(t *testing.T) {
				sub := *p
				sub.T = t
				sub.check(s)
			})
		}
	}
}

// check visits a page, and checks what every page promises.
func (p *tab) check(s spot) {
	p.Helper()
	for _, text := range p.problems(s) {
		p.Error(text)
	}
}

// problems visits a page, and returns what is wrong with it.
func (p *tab) problems(s spot) (list []string) {
	p.Helper()
	say := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	p.visit(s.url)
	status := value[int](p, `performance.getEntriesByType("navigation")[0].responseStatus`)
	if status != s.status {
		say("status %d, want %d: %s", status, s.status,
			value[string](p, `document.body.innerText`))
	}
	if lang := value[string](p, `document.documentElement.lang`); lang != p.look.lang {
		say("the language is %q", lang)
	}
	if parts := value[[]string](p, overflowing); len(parts) > 0 {
		say("wider than the window: %s", strings.Join(parts, ", "))
	}
	if p.look.script {
		for _, f := range p.barriers() {
			say("%s", f)
		}
	}
	return append(list, s.unexpected(p.told.all())...)
}

// unexpected are the lines that say more than that a page has the status that it should have.
func (s spot) unexpected(told []string) []string {
	return slices.DeleteFunc(told, func(line string) bool {
		return s.status != http.StatusOK && strings.HasPrefix(line, "network: ") &&
			strings.HasSuffix(line, " "+s.url)
	})
}

// overflowing lists elements that make the page wider than the window. What scrolls by itself does
// not.
const overflowing = `(() => {
	const width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= width) return [];
	return ["the page", ...[...document.body.querySelectorAll("*")]
		.filter(e => e.getBoundingClientRect().right > width + 0.5 && !e.closest(".scroll"))
		.map(e => e.outerHTML.slice(0, 120)).slice(0, 5)];
})()`
