package jobs

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
)

// encoded writes a text in a character set.
func encoded(t testing.TB, set, text string) string {
	t.Helper()
	e, _ := charset.Lookup(set)
	out, err := e.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const (
	japanese = "<title>個人サイトの日記 更新履歴</title>"
	french   = "<title>Déjà vu à la crème brûlée</title>"
)

func TestCharset(t *testing.T) {
	script := "<script>" + strings.Repeat("let a = 1;", 1000) + "</script>"
	for _, c := range []struct{ name, set, before, text, declared string }{
		{"UTF-8 without a word", "utf-8", "", japanese, ""},
		{"UTF-8 whatever the server says", "utf-8", "", japanese, "shift_jis"},
		{"UTF-8 whatever the page says", "utf-8", "<meta charset=euc-jp>", japanese, "iso-8859-1"},
		{"UTF-8 far behind the beginning", "utf-8", script, japanese, ""},
		{"Shift_JIS of the server", "shift_jis", "", japanese, "Shift_JIS"},
		{"Shift_JIS of the page", "shift_jis", "<meta charset=x-sjis>", japanese, ""},
		{"Shift_JIS behind a script", "shift_jis", script + "<meta charset=shift_jis>",
			"<title>日本</title>", ""},
		{"Shift_JIS in http-equiv", "shift_jis", script + `<meta http-equiv="Content-Type" ` +
			`content="text/html; charset=Shift_JIS">`, "<title>日本</title>", ""},
		{"Shift_JIS that is declared as UTF-8", "shift_jis", "<meta charset=utf-8>", japanese,
			"utf-8"},
		{"Shift_JIS of the page, not what the server says", "shift_jis",
			"<meta charset=shift_jis>", "<title>日本</title>", "utf-8"},
		{"Shift_JIS that is declared as UTF-16", "shift_jis", "<meta charset=utf-16>", japanese,
			"utf-16"},
		{"Shift_JIS that is declared as EUC-JP", "shift_jis", "", japanese, "euc-jp"},
		{"Shift_JIS of an unknown name", "shift_jis", "", japanese, "none"},
		{"undeclared Shift_JIS", "shift_jis", script, japanese, ""},
		{"undeclared EUC-JP", "euc-jp", script, japanese, ""},
		{"EUC-JP that is declared as Shift_JIS", "euc-jp", "", japanese, "shift_jis"},
		{"declared ISO-2022-JP", "iso-2022-jp", "", japanese, "iso-2022-jp"},
		{"undeclared ISO-2022-JP", "iso-2022-jp", "", japanese, ""},
		{"undeclared GBK", "gbk", "", "<title>中国新闻网站首页 今日要闻</title>", ""},
		{"undeclared Big5", "big5", "", "<title>台灣新聞首頁 今日要聞</title>", ""},
		{"undeclared EUC-KR", "euc-kr", "", "<title>한국어 뉴스 홈페이지</title>", ""},
		{"undeclared windows-1251", "windows-1251", "", "<title>Новости России</title>", ""},
		{"undeclared windows-1252", "windows-1252", "", french, ""},
		{"windows-1252 that is declared as UTF-8", "windows-1252", "", french, "utf-8"},
		{"declared UTF-16", "utf-16le", "", japanese, "utf-16le"},
		{"UTF-16 with a mark", "utf-16be", "\ufeff", japanese, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := encoded(t, c.set, c.before+c.text)
			if got := decode([]byte(page), c.declared); !strings.Contains(got, c.text) {
				t.Errorf("%.200q", got[max(0, len(got)-200):])
			}
		})
	}
}

func TestBadByte(t *testing.T) {
	for _, set := range []string{"utf-8", "shift_jis", "euc-jp"} {
		for _, declared := range []string{set, ""} {
			t.Run(fmt.Sprintf("keeps a page in %s, declared as %q", set, declared),
				func(t *testing.T) {
					got := decode([]byte(encoded(t, set, japanese)+"\xff"), declared)
					if !strings.Contains(got, japanese) {
						t.Errorf("%q", got)
					}
				})
		}
	}
	t.Run("keeps UTF-8 beside one character", func(t *testing.T) {
		if got := decode([]byte("café \xff"), "utf-8"); !strings.HasPrefix(got, "café ") {
			t.Errorf("%q", got)
		}
	})
	t.Run("alone is that of windows-1252", func(t *testing.T) {
		if got := decode([]byte("caf\xe9"), ""); got != "café" {
			t.Errorf("%q", got)
		}
	})
}

func FuzzDecodedTextIsUTF8(f *testing.F) {
	for _, set := range []string{"utf-8", "shift_jis", "euc-jp", "iso-2022-jp", "utf-16le"} {
		f.Add([]byte(encoded(f, set, japanese)), set)
		f.Add([]byte(encoded(f, set, japanese)), "")
	}
	f.Fuzz(func(t *testing.T, page []byte, declared string) {
		if got := decode(page, declared); !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
	})
}

func BenchmarkGuess(b *testing.B) {
	page := []byte(strings.Repeat(encoded(b, "shift_jis", japanese), 20000))
	for b.Loop() {
		if name := guess(page); !strings.EqualFold(name, "shift_jis") {
			b.Fatal(name)
		}
	}
}
