package main

import (
	"fmt"
	"os"
	"strings"
)

// readEnvFile reads a file of KEY=VALUE lines, such as Mastodon's .env.production. Values
// may be quoted, lines may begin with export, and # begins a comment line.
func readEnvFile(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--env-file: %w", err)
	}
	vars := map[string]string{}
	for n, line := range strings.Split(string(b), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			return nil, fmt.Errorf("--env-file %s: line %d is not KEY=VALUE", path, n+1)
		}
		if value = strings.TrimSpace(value); len(value) > 1 &&
			(value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		vars[strings.TrimSpace(key)] = value
	}
	return vars, nil
}

// fallBackTo lets vars answer for the variables that the environment does not set.
func (c *call) fallBackTo(vars map[string]string) {
	before := c.env.Lookup
	c.env.Lookup = func(key string) (string, bool) {
		if v, ok := before(key); ok {
			return v, true
		}
		v, ok := vars[key]
		return v, ok && v != ""
	}
}
