package dashboard

import (
	"fmt"
	"html/template"
	"strconv"
)

// measures are the functions of templates that write sizes and times with their units, which are
// the same in all languages.
var measures = template.FuncMap{
	"bytes":   byteSize,
	"millis":  func(seconds float64) string { return decimal(seconds*1000) + " ms" },
	"msec":    func(n int64) string { return number(n) + " ms" },
	"micros":  func(n int64) string { return decimal(float64(n)/1000) + " ms" },
	"percent": func(share float64) string { return decimal(share*100) + " %" },
}

// decimal is a number with one digit behind the point if it is small.
func decimal(n float64) string {
	if n < 10 {
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return number(int64(n))
}

// byteSize is a number of bytes in the largest unit that people use.
func byteSize(n int64) string {
	size, unit := float64(n), ""
	for _, unit = range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if size < 1024 {
			break
		}
		if unit != "TiB" {
			size /= 1024
		}
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%s %s", decimal(size), unit)
}
