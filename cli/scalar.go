package cli

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// bounds are the numbers that a setting may have, both ends included.
type bounds struct {
	low, high float64
	whole     bool // only whole numbers
}

func whole(low, high float64) bounds { return bounds{low, high, true} }

// check refuses a number out of bounds. where names the setting and its value.
func (b bounds) check(n float64, where string) error {
	if n >= b.low && n <= b.high && (!b.whole || n == math.Trunc(n)) { // never of NaN
		return nil
	}
	kind := "number"
	if b.whole {
		kind = "whole number"
	}
	return fmt.Errorf("%s: want a %s from %s to %s", where, kind, plainNumber(b.low),
		plainNumber(b.high))
}

func plainNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// The integers of YAML 1.1, which Ruby reads: octal with a leading 0, hexadecimal, binary, decimal.
var (
	octal   = regexp.MustCompile(`^[-+]?0[0-7_]+$`)
	integer = regexp.MustCompile(`^[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_,]*)$`)
)

// rubyNumber reads a number as Ruby reads it in YAML.
func rubyNumber(text string) (float64, error) {
	plain := strings.NewReplacer("_", "", ",", "").Replace(text)
	switch {
	case octal.MatchString(text):
		return parseInt(plain, 8)
	case integer.MatchString(text):
		return parseInt(plain, 0)
	default:
		return strconv.ParseFloat(plain, 64)
	}
}

func parseInt(text string, base int) (float64, error) {
	if base == 0 && !strings.ContainsAny(text, "xXb") {
		base = 10
	}
	n, err := strconv.ParseInt(text, base, 64)
	return float64(n), err
}

// rubyBool reads a switch as Ruby reads it in YAML.
func rubyBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	default:
		return false, false
	}
}
