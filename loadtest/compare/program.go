package compare

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// program is the built module loadtest/compare/rivals, as one rival.
type program struct {
	c    *comparison
	name string
}

// run runs a command of the program, and gives the number that it prints.
func (p program) run(ctx context.Context, args ...any) (float64, error) {
	words := []string{p.name}
	for _, a := range args {
		words = append(words, fmt.Sprint(a))
	}
	cmd := exec.CommandContext(ctx, p.c.program, words...)
	cmd.Env = append(append(os.Environ(), "REDIS_URL="+p.c.URL), p.env()...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", p.c.program, strings.Join(words, " "), err)
	}
	text := strings.TrimSpace(string(out))
	if text == "" {
		return 0, nil
	}
	return strconv.ParseFloat(text, 64)
}

func (p program) env() []string {
	if p.name != "river" {
		return nil
	}
	return []string{"DATABASE_URL=" + p.c.postgres.URL}
}

func (p program) start(threads int, pinned bool) (*exec.Cmd, error) {
	return p.c.Spawn(pinned, p.env(), p.c.program, p.name, "work", strconv.Itoa(threads))
}

func (p program) trickle(ctx context.Context, n int, path string) error {
	_, err := p.run(ctx, "trickle", n, path)
	return err
}

func (p program) ledger(ctx context.Context, n int, path string, ms int) error {
	_, err := p.run(ctx, "ledger", n, path, ms)
	return err
}
