package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// readPassword reads a password twice from a terminal, which does not show it, or the first line of
// another input.
func readPassword(ctx context.Context, c *console) (string, error) {
	f, isFile := c.in.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(c.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	first, err := ask(ctx, c.err, int(f.Fd()), "Password: ")
	if err != nil {
		return "", err
	}
	second, err := ask(ctx, c.err, int(f.Fd()), "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the passwords differ: nothing was changed")
	}
	return first, nil
}

// ask reads a line from a terminal, which does not show it. When ctx ends, by Ctrl-C, the terminal
// shows again what is typed; the read goes on until the process ends.
func ask(ctx context.Context, out io.Writer, terminal int, prompt string) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	type answer struct {
		text []byte
		err  error
	}
	read := make(chan answer, 1)
	fmt.Fprint(out, prompt)
	go func() {
		text, err := term.ReadPassword(terminal)
		read <- answer{text, err}
	}()
	select {
	case a := <-read:
		fmt.Fprintln(out)
		return string(a.text), a.err
	case <-ctx.Done():
		fmt.Fprintln(out)
		return "", errors.Join(errors.New("interrupted: nothing was changed"),
			term.Restore(terminal, before))
	}
}
