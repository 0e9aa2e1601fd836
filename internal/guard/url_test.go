package guard_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/kyujobs/kyu/internal/guard"
)

func TestParseURL(t *testing.T) {
	t.Run("accepts public URLs", func(t *testing.T) {
		for _, raw := range []string{"https://example.com/inbox", "http://example.com:8080/a?b=c",
			"https://例え.jp/", "https://[2606:4700::1111]/", "https://example.com:444/"} {
			if _, err := guard.ParseURL(raw); err != nil {
				t.Errorf("%s: %v", raw, err)
			}
		}
	})
	for _, c := range []struct{ name, raw, want string }{
		{"keeps a canonical URL", "https://a.test:8443/x%2Fy/%e3?q=%20+'&[1]#f",
			"https://a.test:8443/x%2Fy/%e3?q=%20+'&[1]#f"},
		{"writes a host in lower case", "HTTPS://EXAMPLE.test/A", "https://example.test/A"},
		{"writes a host in A-labels", "http://bücher.test/in", "http://xn--bcher-kva.test/in"},
		{"maps capitals before", "http://BÜCHER.test/inbox", "http://xn--bcher-kva.test/inbox"},
		{"maps an ideographic dot", "http://例え。jp/", "http://xn--r8jz45g.jp/"},
		{"keeps ß, as browsers do", "http://straße.test/", "http://xn--strae-oqa.test/"},
		{"reads an escaped host", "http://b%C3%BCcher.test/", "http://xn--bcher-kva.test/"},
		{"keeps an underscore in a host", "http://my_host.test/", "http://my_host.test/"},
		{"drops the dot after a host", "http://a.test./x", "http://a.test/x"},
		{"drops the port of http", "http://a.test:80/x", "http://a.test/x"},
		{"drops the port of https", "https://a.test:0443/x", "https://a.test/x"},
		{"drops an empty port", "https://a.test:/x", "https://a.test/x"},
		{"keeps the port of the other scheme", "https://a.test:80/", "https://a.test:80/"},
		{"shortens an address", "http://[2606:4700:0::1111]:80/", "http://[2606:4700::1111]/"},
		{"adds the path", "https://a.test?q", "https://a.test/?q"},
		{"removes dot segments", "https://a.test/x/../y/./z", "https://a.test/y/z"},
		{"escapes a path", "https://a.test/@日/é b", "https://a.test/@%E6%97%A5/%C3%A9%20b"},
		{"keeps an escaped slash", "https://a.test/a%2Fb/é", "https://a.test/a%2Fb/%C3%A9"},
		{"escapes a query", "https://a.test/?q=日本", "https://a.test/?q=%E6%97%A5%E6%9C%AC"},
		{"escapes a space in a query", "https://a.test/?q=a b", "https://a.test/?q=a%20b"},
		{"escapes a percent sign", "https://a.test/100%?q=5%zz", "https://a.test/100%25?q=5%25zz"},
		{"escapes bytes that are no UTF-8", "https://a.test/\xff", "https://a.test/%FF"},
		{"escapes a fragment", "https://a.test/#é", "https://a.test/#%C3%A9"},
		{"trims spaces", " https://a.test/inbox\n", "https://a.test/inbox"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if u, err := guard.ParseURL(c.raw); err != nil || u.String() != c.want {
				t.Errorf("%q became %v, want %s (%v)", c.raw, u, c.want, err)
			}
		})
	}
	for _, raw := range []string{"http://a℀b.test/", "http://a b.test/", "http://a%20b.test/",
		"http://a\\b.test/", "http://a<b.test/", "http://./", "http://。/", "http://[a:b]/",
		"http://x.ｏnion/", "http://X.I2P./", "http://a.test:６３７９/", "http://\xff.test/"} {
		t.Run("refuses "+raw, func(t *testing.T) {
			if u, err := guard.ParseURL(raw); !errors.Is(err, guard.ErrForbidden) {
				t.Errorf("it became %v (%v)", u, err)
			}
		})
	}
}

func TestResolveURL(t *testing.T) {
	base, err := url.Parse("https://a.test/x/y?z")
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]string{"b c?d e": "https://a.test/x/b%20c?d%20e",
		"/é": "https://a.test/%C3%A9", "//bücher.test": "https://xn--bcher-kva.test/",
		"../../w": "https://a.test/w", "http://b.test:80/": "http://b.test/",
		"?q=日": "https://a.test/x/y?q=%E6%97%A5"} {
		t.Run(raw, func(t *testing.T) {
			if u, err := guard.ResolveURL(base, raw); err != nil || u.String() != want {
				t.Errorf("it became %v, want %s (%v)", u, want, err)
			}
		})
	}
	t.Run("refuses another scheme", func(t *testing.T) {
		if u, err := guard.ResolveURL(base, "javascript:alert(1)"); err == nil {
			t.Error(u)
		}
	})
}

func FuzzAURLIsCanonicalOrRefused(f *testing.F) {
	for _, raw := range malformed {
		f.Add(raw)
	}
	f.Add("https://example.com/inbox")
	f.Add("HTTP://BÜCHER。test.:080/a/../b%2f%zz é?q= #日")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := guard.ParseURL(raw)
		if err != nil {
			return
		}
		if again, err := guard.ParseURL(u.String()); err != nil ||
			again.String() != u.String() || again.Host != u.Host {
			t.Errorf("%q became %q, and that became %q: %v", raw, u, again, err)
		}
		for i, c := range []byte(u.RequestURI() + u.Host) {
			if c <= ' ' || c >= 0x7f {
				t.Errorf("%q became %q: the byte %d may not be on the wire", raw, u, i)
			}
		}
	})
}

func BenchmarkParseURL(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := guard.ParseURL("https://mastodon.example/users/alice/inbox"); err != nil {
			b.Fatal(err)
		}
	}
}
