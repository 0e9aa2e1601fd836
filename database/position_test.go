package database

import "testing"

func TestPosition(t *testing.T) {
	t.Run("is read and written as Postgres writes it", func(t *testing.T) {
		for text, want := range map[string]Position{"0/0": 0, "0/3000060": 0x3000060,
			"16/B374D848": 0x16B374D848, "FFFFFFFF/FFFFFFFF": 1<<64 - 1} {
			if p, err := ParsePosition(text); p != want || err != nil || p.String() != text {
				t.Errorf("%s: %v %v", text, p, err)
			}
		}
		for _, text := range []string{"", "0", "/1", "1/", "1/2/3", "x/1", "1/2 ", "123456789/0"} {
			if _, err := ParsePosition(text); err == nil {
				t.Errorf("%q is taken", text)
			}
		}
	})
	t.Run("behind the header of a page is the start of the page", func(t *testing.T) {
		for p, want := range map[Position]Position{0x3000028: 0x3000000, 0x3002018: 0x3002000,
			0x3002028: 0x3002028, 0x3000018: 0x3000018, 0x3000060: 0x3000060} {
			if got := p.withoutHeader(8192, 16<<20); got != want {
				t.Errorf("%v: %v, want %v", p, got, want)
			}
		}
	})
}
