package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// readEnvFile reads a file of variables, such as Mastodon's .env.production.
func readEnvFile(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--env-file: %w", err)
	}
	vars, err := parseEnv(string(b))
	if err != nil {
		return nil, fmt.Errorf("--env-file %s: %w", path, err)
	}
	return vars, nil
}

// variable is the name of a variable, perhaps after export.
var variable = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*`)

// exported is a line of a shell that only passes on variables.
var exported = regexp.MustCompile(`^export([ \t]+[A-Za-z_][A-Za-z0-9_]*)+[ \t]*$`)

// parseEnv reads KEY=VALUE lines as systemd, dotenv and shells write them: with export, comments
// after # or ;, single and double quotes, also over several lines, a backslash at the end of a
// line, a mark of the byte order, and line ends of Windows. Of the three, only systemd leaves $
// alone. So does parseEnv: a password with a $ is more frequent than a reference to another
// variable.
func parseEnv(text string) (map[string]string, error) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	vars := map[string]string{}
	for p := (envText{rest: text, line: 1}); p.rest != ""; {
		line, _, _ := strings.Cut(p.rest, "\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.ContainsAny(trimmed[:1], "#;") ||
			exported.MatchString(trimmed) {
			p.skip(len(line) + 1)
			continue
		}
		p.skip(len(line) - len(strings.TrimLeft(line, " \t")))
		found := variable.FindStringSubmatch(p.rest)
		if found == nil {
			return nil, fmt.Errorf("line %d is not KEY=VALUE", p.line)
		}
		start := p.line
		p.skip(len(found[0]))
		value, err := p.value()
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", start, found[1], err)
		}
		vars[found[1]] = value
	}
	return vars, nil
}

// envText is the part of a file that is not read yet.
type envText struct {
	rest string
	line int
}

func (p *envText) skip(n int) {
	n = min(n, len(p.rest))
	p.line += strings.Count(p.rest[:n], "\n")
	p.rest = p.rest[n:]
}

// value reads a value to the end of its line: parts in quotes and without quotes.
func (p *envText) value() (string, error) {
	var b strings.Builder
	keep := 0 // up to here the value does not end in blanks that must go
	for p.rest != "" {
		c := p.rest[0]
		switch {
		case c == '\n':
			p.skip(1)
			return b.String()[:keep], nil
		case c == '"' || c == '\'':
			if err := p.quoted(&b, c); err != nil {
				return "", err
			}
			keep = b.Len()
		case c == '#' && keep < b.Len(), c == '#' && b.Len() == 0: // after a blank: a comment
			line, _, _ := strings.Cut(p.rest, "\n")
			p.skip(len(line))
		case c == '\\' && strings.HasPrefix(p.rest, "\\\n"):
			p.skip(2)
		default:
			b.WriteByte(c)
			p.skip(1)
			if c != ' ' && c != '\t' {
				keep = b.Len()
			}
		}
	}
	return b.String()[:keep], nil
}

// escapes are the characters that a backslash changes between double quotes.
var escapes = map[byte]string{'n': "\n", '"': `"`, '\\': `\`, '$': "$", '`': "`", '\n': ""}

// quoted reads a part in quotes.
func (p *envText) quoted(b *strings.Builder, quote byte) error {
	p.skip(1)
	for p.rest != "" {
		c := p.rest[0]
		if c == quote {
			p.skip(1)
			return nil
		}
		if c == '\\' && quote == '"' && len(p.rest) > 1 {
			if text, ok := escapes[p.rest[1]]; ok {
				b.WriteString(text)
				p.skip(2)
				continue
			}
		}
		b.WriteByte(c)
		p.skip(1)
	}
	return fmt.Errorf("the quote %c is not closed", quote)
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
