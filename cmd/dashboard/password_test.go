package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
	"golang.org/x/sys/unix"
)

// terminal opens a terminal: what the test writes to keys is typed at it, and what the test reads
// from keys is shown by it.
func terminal(t *testing.T) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tty.Close()
		keys.Close()
	})
	return keys, tty
}

// echoes reports whether the terminal shows what is typed.
func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func TestPassword(t *testing.T) {
	for _, c := range []struct {
		what          string
		first, second string
		want, problem string
	}{
		{"is read twice from a terminal that does not show it", "correct horse", "correct horse",
			"correct horse", ""},
		{"must be the same twice", "correct horse", "correct house", "", "differ"},
	} {
		t.Run(c.what, func(t *testing.T) {
			keys, tty := terminal(t)
			var out testwait.Log
			type answer struct {
				text string
				err  error
			}
			got := make(chan answer, 1)
			go func() {
				text, err := readPassword(t.Context(), &console{tty, &out, &out})
				got <- answer{text, err}
			}()
			for i, typed := range []string{c.first, c.second} {
				testwait.Until(t, 10*time.Second, "the terminal hides what is typed", func() bool {
					return strings.Count(out.String(), ": ") == i+1 && !echoes(t, tty)
				})
				fmt.Fprintln(keys, typed)
			}
			a := <-got
			if a.text != c.want || (a.err == nil) != (c.problem == "") ||
				a.err != nil && !strings.Contains(a.err.Error(), c.problem) {
				t.Errorf("%q, %v", a.text, a.err)
			}
			if !echoes(t, tty) {
				t.Error("the terminal still hides what is typed")
			}
		})
	}
	t.Run("can be interrupted", func(t *testing.T) {
		keys, tty := terminal(t)
		ctx, interrupt := context.WithCancel(t.Context())
		var out testwait.Log
		got := make(chan error, 1)
		go func() {
			_, err := readPassword(ctx, &console{tty, &out, &out})
			got <- err
		}()
		testwait.Until(t, 10*time.Second, "the terminal hides what is typed",
			func() bool { return !echoes(t, tty) })
		interrupt()
		if err := <-got; err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Error(err)
		}
		if !echoes(t, tty) {
			t.Error("the terminal still hides what is typed")
		}
		fmt.Fprintln(keys) // ends the read
	})
}
