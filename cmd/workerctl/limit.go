package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/spf13/pflag"
)

// limit is the number of rows that a list shows at most. It is the value of the flag --limit. A
// list that is no page shows all its rows if the limit is 0, which cannot be typed.
type limit int

// String is the flag's value.
func (l *limit) String() string { return strconv.Itoa(int(*l)) }

// Type is the name of the flag's value in the help.
func (l *limit) Type() string { return "N" }

// Set refuses a number below 1.
func (l *limit) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return errors.New("want at least 1")
	}
	*l = limit(n)
	return nil
}

// flags adds the flag, with a default.
func (l *limit) flags(f *pflag.FlagSet, rows limit) {
	*l = rows
	f.Var(l, "limit", "show at most `N` rows")
}

// atMost shows the first rows of a list, and says under a table how many there are in all.
func atMost[T any](c *call, l limit, list []T, show func([]T) error) error {
	shown := list
	if l > 0 && int(l) < len(list) {
		shown = list[:l]
	}
	if err := show(shown); err != nil {
		return err
	}
	if len(shown) < len(list) {
		return c.printPart(0, len(shown), int64(len(list)))
	}
	return nil
}

// printPart says under a table which rows of a list it has: 1 to 25 of 100,000.
func (c *call) printPart(offset int64, rows int, total int64) error {
	var err error
	switch {
	case c.json() || total == 0 && rows == 0:
	case rows == 0:
		_, err = fmt.Fprintf(c.out, "none of %s: the list is shorter\n", grouped(total))
	default:
		last := offset + int64(rows)
		_, err = fmt.Fprintf(c.out, "%s to %s of %s\n", grouped(offset+1), grouped(last),
			grouped(max(total, last)))
	}
	return err
}

// grouped is a number with a comma before every three digits.
func grouped(n int64) string { return text.Grouped(n) }
