package jobs

import (
	"bytes"
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/wlynxg/chardet"
	"github.com/wlynxg/chardet/consts"
	"golang.org/x/net/html/charset"
)

const (
	guessed = 32 << 10 // bytes of a page that are read to guess its character set
	sure    = 0.9      // confidence of the library from which on it is right
)

// multibyte has the library's names of sets with several bytes for a character, and the
// names that pages use.
var multibyte = map[string]string{consts.ShiftJis: "shift_jis", consts.EucJp: "euc-jp",
	consts.EucKr: "euc-kr", consts.CP949: "euc-kr", consts.GB2312: "gbk", consts.Big5: "big5"}

// decode returns a page in UTF-8. declared is the character set that the server names. It
// is only a claim, as is that of the page: a set is believed if the page's bytes can be
// read in it. UTF-8 comes first, because text in another set is hardly ever valid UTF-8.
func decode(page []byte, declared string) string {
	// ISO-2022-JP has escapes, UTF-16 has zeros; both may be valid UTF-8 all the same.
	plain := !bytes.ContainsAny(page, "\x00\x1b")
	if plain && utf8.Valid(page) {
		return string(page)
	}
	claims := []func() string{
		func() string { return byteOrderMark(page) },
		func() string { return declared },
		func() string { return metaCharset(page) },
		func() string { return guess(page) },
	}
	if plain {
		claims = append([]func() string{func() string { return "utf-8" }}, claims...)
	}
	for _, claim := range claims {
		name := claim()
		if plain && strings.HasPrefix(strings.ToLower(name), "utf-16") {
			continue // the page would have zeros
		}
		if text, ok := decodeAs(page, name); ok {
			return text
		}
	}
	text, _ := decodeAs(page, "windows-1252") // has a character for each byte
	return text
}

// decodeAs reads a page in a character set. ok is false if the set is not known, or if too
// many bytes have no meaning in it.
func decodeAs(page []byte, name string) (text string, ok bool) {
	set, name := charset.Lookup(name)
	if set == nil || name == "replacement" { // a set that browsers refuse too
		return "", false
	}
	decoded, err := set.NewDecoder().Bytes(page)
	if err != nil {
		return "", false
	}
	good, bad := weigh(string(decoded))
	if name == "utf-8" { // a valid character is strong evidence: one in two is enough
		return string(decoded), bad <= good
	}
	return string(decoded), bad == 0 || good > 0 && bad <= 1+good/100
}

// weigh counts the characters of a decoded text that are not ASCII: the good ones, and the
// bad ones, which are replacements of invalid bytes, and control characters, which no page
// has and which appear when a page is read in a wrong set.
func weigh(text string) (good, bad int) {
	for _, r := range text {
		switch {
		case r == utf8.RuneError || r >= 0x80 && r < 0xa0:
			bad++
		case r >= 0x80:
			good++
		}
	}
	return good, bad
}

func byteOrderMark(page []byte) string {
	for mark, name := range map[string]string{"\xef\xbb\xbf": "utf-8", "\xfe\xff": "utf-16be",
		"\xff\xfe": "utf-16le"} {
		if bytes.HasPrefix(page, []byte(mark)) {
			return name
		}
	}
	return ""
}

// metaCharset returns the character set that a meta tag of the page names, however far
// behind the beginning the tag is.
func metaCharset(page []byte) string {
	return inTags(page, "meta", func(a map[string]string) string {
		if a["charset"] == "" && strings.EqualFold(a["http-equiv"], "content-type") {
			return readMediaType(a["content"]).params["charset"]
		}
		return a["charset"]
	})
}

// guess names the character set of a page that names none, by its bytes. One invalid byte
// makes the library exclude a set with several bytes for a character. Therefore the halves
// of the page are asked too if the library is not sure of the whole.
func guess(page []byte) string {
	first := bytes.IndexFunc(page, func(r rune) bool { return r >= utf8.RuneSelf || r == 0x1b })
	if first < 0 {
		return ""
	}
	page = page[first:min(len(page), first+guessed)]
	whole := chardet.Detect(page)
	if whole.Confidence > sure {
		return cmp.Or(multibyte[whole.Encoding], whole.Encoding)
	}
	middle := len(page) / 2
	middle += 1 + bytes.IndexAny(page[middle:], " \n<") // not within a character
	for _, half := range [][]byte{page[:middle], page[middle:]} {
		if found := chardet.Detect(half); found.Confidence > sure &&
			multibyte[found.Encoding] != "" {
			return multibyte[found.Encoding]
		}
	}
	return whole.Encoding
}
