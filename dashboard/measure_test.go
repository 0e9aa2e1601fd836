package dashboard

import "testing"

func TestMeasures(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB",
		200 << 20: "200 MiB", 3 << 40: "3.0 TiB", 5000 << 40: "5,000 TiB"} {
		if got := byteSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0.0", 9.96: "10.0", 1234.5: "1,234"} {
		if got := decimal(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
