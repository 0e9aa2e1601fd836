package main

import "strings"

// parseUnitFile reads a file of EnvironmentFile= as systemd does: a comment is a line of its own,
// quotes count only at the beginning of a value, and a line that is no variable has no effect.
// parseEnv reads the files of other programs too, and is more lenient.
func parseUnitFile(text string) map[string]string {
	vars := map[string]string{}
	p := unitText{strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")}
	for p.rest != "" {
		p.rest = strings.TrimLeft(p.rest, " \t\n")
		if p.rest == "" || strings.ContainsAny(p.rest[:1], "#;") {
			p.line()
			continue
		}
		end := strings.IndexAny(p.rest, "=\n")
		if end < 0 || p.rest[end] == '\n' {
			p.line()
			continue
		}
		key := strings.TrimSpace(p.rest[:end])
		p.rest = p.rest[end+1:]
		vars[key] = p.value()
	}
	return vars
}

// unitText is the part of a file that is not read yet.
type unitText struct{ rest string }

// line skips a line.
func (p *unitText) line() { _, p.rest, _ = strings.Cut(p.rest, "\n") }

// value reads a value to the end of its line: parts in quotes, and then text without quotes.
func (p *unitText) value() string {
	var b strings.Builder
	for p.rest = strings.TrimLeft(p.rest, " \t"); p.rest != ""; {
		quote := p.rest[0]
		if quote != '"' && quote != '\'' {
			break
		}
		p.rest = p.rest[1:]
		p.quoted(&b, quote)
		p.rest = strings.TrimLeft(p.rest, " \t")
	}
	keep := b.Len() // up to here the value does not end in blanks that must go
	for p.rest != "" {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case c == '\n':
			return b.String()[:keep]
		case c == '\\' && p.rest != "":
			if p.rest[0] != '\n' {
				b.WriteByte(p.rest[0])
			}
			p.rest = p.rest[1:]
			keep = b.Len()
		default:
			b.WriteByte(c)
			if c != ' ' && c != '\t' {
				keep = b.Len()
			}
		}
	}
	return b.String()[:keep]
}

// quoted reads up to the end of the quotes.
func (p *unitText) quoted(b *strings.Builder, quote byte) {
	for p.rest != "" {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case c == quote:
			return
		case c == '\\' && quote == '"' && p.rest != "":
			if next := p.rest[0]; next != '\n' {
				if !strings.ContainsRune("\"\\`$", rune(next)) {
					b.WriteByte(c)
				}
				b.WriteByte(next)
			}
			p.rest = p.rest[1:]
		default:
			b.WriteByte(c)
		}
	}
}

// unitWords divides a variable that is a word of its own in ExecStart=, such as $WORKER_ARGS, as
// systemd does: at blanks that are not in quotes.
func unitWords(text string) (words []string) {
	var word strings.Builder
	var quote rune
	inWord, escaped := false, false
	for _, c := range text {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\':
			inWord, escaped = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			inWord, quote = true, c
		case quote == 0 && strings.ContainsRune(" \t\n\r", c):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
