package main

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// seconds is the value of the flag --watch; 0 if it is not given.
type seconds float64

// shortestWatch is the least time between two looks, in seconds. A list costs Redis a page.
const shortestWatch = 0.5

// String is the flag's value.
func (s *seconds) String() string { return strconv.FormatFloat(float64(*s), 'f', -1, 64) }

// Type is the name of the flag's value in the help.
func (s *seconds) Type() string { return "SECONDS" }

// Set refuses a time that is too short.
func (s *seconds) Set(text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= shortestWatch && n <= 86400) { // NaN is refused too
		return errors.New("want seconds from 0.5 to 86400, such as --watch=5")
	}
	*s = seconds(n)
	return nil
}

// errWatch refuses to do a thing again and again.
var errWatch = errors.New("--watch shows something again and again, and changes nothing")

// watchable adds the flag --watch to a command that only shows.
func (c *call) watchable(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&c.every, "watch", "show it again every so many `SECONDS`, 2 if none are given, until "+
		"Ctrl-C")
	f.Lookup("watch").NoOptDefVal = "2"
}

// watch shows once, or again and again until ctx is done. At a terminal each look replaces the one
// before.
func (c *call) watch(ctx context.Context, show func() error) error {
	if c.every == 0 {
		return show()
	}
	out := c.out
	defer func() { c.out = out }()
	every := time.NewTicker(time.Duration(float64(c.every) * float64(time.Second)))
	defer every.Stop()
	for {
		var look bytes.Buffer
		if c.columns > 0 {
			look.WriteString("\x1b[H\x1b[2J")
		}
		c.out = &look
		err := show()
		if ctx.Err() != nil {
			return nil
		}
		if _, wrong := out.Write(look.Bytes()); err != nil || wrong != nil {
			return errors.Join(err, wrong)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}
