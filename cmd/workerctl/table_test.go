package main

import "testing"

func TestAge(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0s", 0.0125: "13ms", 7.34: "7.3s",
		61: "1m01s", 3700: "1h01m", 200_000: "2d07h", 2e9: ""} {
		if got := age(seconds); got != want {
			t.Errorf("%v seconds: %q, want %q", seconds, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("\x1b[2J\tä\r\n\x7f\u0085\u2028\u202e!"); got != "·[2J·ä······!" {
		t.Errorf("%q", got)
	}
}

func TestShort(t *testing.T) {
	for text, want := range map[string]string{"äöü": "äöü", "äöüß": "äö…"} {
		if got := short(text, 3); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
