package dashboard

import (
	"net/url"
	"path"
	"testing"
)

func FuzzSegment(f *testing.F) {
	for _, name := range []string{"", ".", "..", "...", "a/b", "~", "~2F", "a%2Fb", "a\\b",
		"x?y#z;", "キュー", "a b", "\x00\n\x7f", ".a", "a.", "%", "+", "a//b", "\xff"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s := segment(name)
		decoded, err := url.PathUnescape(s)
		if err != nil || nameOf(decoded) != name {
			t.Fatalf("%q became %q, and that %q (%v)", name, s, nameOf(decoded), err)
		}
		// A proxy decodes the path, cleans it and encodes it anew.
		all := "/kyu/queues/" + decoded + "/pause"
		if got := path.Clean(all); got != all {
			t.Errorf("%q: a proxy makes %q of %q", name, got, all)
		}
		again, err := url.Parse((&url.URL{Path: all}).EscapedPath())
		if err != nil || again.Path != all {
			t.Errorf("%q: %q, %v", name, again, err)
		}
	})
}
