package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// readEnvFile lets a file of KEY=VALUE lines answer for variables that are not set.
func (c *ctl) readEnvFile() error {
	b, err := os.ReadFile(c.envFile)
	if err != nil {
		return fmt.Errorf("--env-file: %w", err)
	}
	vars := map[string]string{}
	for n, line := range strings.Split(string(b), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			return fmt.Errorf("--env-file %s: line %d is no KEY=VALUE", c.envFile, n+1)
		}
		if value = strings.TrimSpace(value); len(value) > 1 &&
			(value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		vars[strings.TrimSpace(key)] = value
	}
	before := c.env.Lookup
	c.env.Lookup = func(key string) (string, bool) {
		if v, ok := before(key); ok {
			return v, true
		}
		v, ok := vars[key]
		return v, ok && v != ""
	}
	return nil
}

// number is a variable that is a number, else 0.
func (c *ctl) number(key string) int {
	v, _ := c.env.Get(key)
	n, _ := strconv.Atoi(v)
	return n
}

// times reads NxM.
func times(flag, text string) (n, m int, err error) {
	before, after, ok := strings.Cut(text, "x")
	n, err1 := strconv.Atoi(before)
	m, err2 := strconv.Atoi(after)
	if !ok || err1 != nil || err2 != nil || n < 0 || m < 0 {
		return 0, 0, fmt.Errorf("--%s %q: want processes x connections of each, such as 2x5",
			flag, text)
	}
	return n, m, nil
}

// otherPools are those of web and streaming processes, as flags or variables say.
func (c *ctl) otherPools() (list []pool, err error) {
	web := c.web
	if web == "" && (c.number("WEB_CONCURRENCY") > 0 || c.number("MAX_THREADS") > 0) {
		web = fmt.Sprintf("%dx%d", max(c.number("WEB_CONCURRENCY"), 1),
			max(c.number("MAX_THREADS"), c.number("DB_POOL"), 5))
	}
	for _, o := range []struct{ flag, text string }{{"web", web}, {"streaming", c.streaming}} {
		if o.text == "" {
			continue
		}
		n, m, err := times(o.flag, o.text)
		if err != nil {
			return nil, err
		}
		list = append(list, pool{fmt.Sprintf("%s %d x %d", o.flag, n, m), n * m})
	}
	return list, nil
}
