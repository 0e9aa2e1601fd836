package cron

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// set is a set of the numbers 0 to 63.
type set uint64

func (s set) has(n int) bool { return s>>n&1 == 1 }

// from returns the smallest member that is at least n, or -1.
func (s set) from(n int) int {
	if rest := s >> n << n; n < 64 && rest != 0 {
		return bits.TrailingZeros64(uint64(rest))
	}
	return -1
}

// expression is a cron expression: the readings of the wall clock that it matches.
type expression struct {
	second, minute, hour, day, month, weekday set
	// anyDay and anyWeekday say that the field begins with *. If neither does, a day matches by
	// one of the two fields; otherwise it must match by both.
	anyDay, anyWeekday bool
}

// field is one of the fields of an expression.
type field struct {
	name      string
	low, high int
	jitter    int // the highest value of H without a range
	words     []string
}

var fields = [6]field{
	{"second", 0, 59, 59, nil}, {"minute", 0, 59, 59, nil}, {"hour", 0, 23, 23, nil},
	{"day", 1, 31, 28, nil}, // every month has a 28th
	{"month", 1, 12, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{"weekday", 0, 7, 6, strings.Fields("sun mon tue wed thu fri sat")},
}

var shortcuts = map[string]string{"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
	"@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
	"@midnight": "0 0 * * *", "@hourly": "0 * * * *"}

// allHours are the hours of an expression that follows real time.
const allHours set = 1<<24 - 1

// parseExpression reads five fields (minute, hour, day, month, weekday), or six with the second
// first, and then, if it is there, the name of a time zone. H stands for a number that follows
// from name. The error has all problems.
func parseExpression(text, name string) (e *expression, zone string, err error) {
	words := strings.Fields(text)
	if len(words) > 0 && shortcuts[words[0]] != "" {
		words = append(strings.Fields(shortcuts[words[0]]), words[1:]...)
	}
	if n := len(words); n > 5 && isZone(words[n-1]) {
		words, zone = words[:n-1], words[n-1]
	}
	switch len(words) {
	case 5:
		words = append([]string{"0"}, words...)
	case 6:
	default:
		return nil, "", fmt.Errorf("cron %q has %d fields: want minute hour day month weekday, "+
			"or the second before them", text, len(words))
	}
	var sets [6]set
	var problems []error
	for i := range fields {
		if sets[i], err = fields[i].parse(words[i], name); err != nil {
			problems = append(problems, fmt.Errorf("cron %q: %w", text, err))
		}
	}
	if problems != nil {
		return nil, "", errors.Join(problems...)
	}
	e = &expression{second: sets[0], minute: sets[1], hour: sets[2], day: sets[3],
		month: sets[4], weekday: sets[5] | sets[5]>>7&1, // 7 is Sunday too
		anyDay: isAny(words[3]), anyWeekday: isAny(words[5])}
	if e.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()) == never {
		return nil, "", fmt.Errorf("cron %q matches no day: no month in it has such a day", text)
	}
	return e, zone, nil
}

// isZone reports whether the last word is a time zone and not a field: fields hold no letter
// before a slash, and no names but those of months and weekdays.
func isZone(word string) bool {
	_, err := loadZone(word)
	return err == nil && !strings.ContainsAny(word, "*?,()") && len(word) > 1 &&
		(word[0] < '0' || word[0] > '9')
}

// isAny reports whether a field begins with *, as cron(8) means it.
func isAny(word string) bool { return word[0] == '*' || word == "?" }

// parse reads a list of ranges.
func (f *field) parse(text, name string) (all set, err error) {
	var problems []error
	for _, item := range splitList(text) {
		s, err := f.item(item, name)
		if err != nil {
			problems = append(problems, err)
		}
		all |= s
	}
	return all, errors.Join(problems...)
}

func splitList(text string) []string { return strings.Split(text, ",") }

// item reads *, N, N-M or H, each also with /STEP.
func (f *field) item(text, name string) (set, error) {
	span, stepText, stepped := strings.Cut(text, "/")
	step, err := 1, error(nil)
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > 60 {
			return 0, fmt.Errorf("%s %q: want a whole number from 1 to 60 behind the /", f.name,
				text)
		}
	}
	low, high := f.low, f.high
	switch {
	case span == "*" || span == "?":
		if f.name == "weekday" {
			high = 6
		}
	case strings.HasPrefix(span, "H"):
		return f.hashed(text, span, step, stepped, name)
	default:
		if low, high, err = f.span(span); err != nil {
			return 0, fmt.Errorf("%s %q: %w", f.name, text, err)
		}
		if stepped && !strings.Contains(span, "-") {
			high = f.high
		}
	}
	return stepSet(low, high, step), nil
}

// span reads N or N-M.
func (f *field) span(text string) (low, high int, err error) {
	first, last, ranged := strings.Cut(text, "-")
	if low, err = f.number(first); err != nil {
		return 0, 0, err
	}
	if high = low; ranged {
		if high, err = f.number(last); err != nil {
			return 0, 0, err
		}
	}
	if low > high {
		return 0, 0, fmt.Errorf("%s comes after %s: write two ranges", first, last)
	}
	return low, high, nil
}

func (f *field) number(text string) (int, error) {
	for i, word := range f.words {
		if strings.EqualFold(word, text) {
			return i + f.low, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.high || text[0] == '+' || text[0] == '-' {
		return 0, fmt.Errorf("want *, H, numbers from %d to %d, ranges and steps; L, W and # are "+
			"not known here", f.low, f.high)
	}
	return n, nil
}

// hashed reads H or H(N-M). Without a step it is one number, with a step it is where the steps
// begin.
func (f *field) hashed(text, span string, step int, stepped bool, name string) (set, error) {
	low, high := f.low, f.jitter
	if span != "H" {
		inner, closed := strings.CutSuffix(strings.TrimPrefix(span, "H("), ")")
		if len(inner) == len(span) || !closed {
			return 0, fmt.Errorf("%s %q: want H or H(N-M)", f.name, text)
		}
		var err error
		if low, high, err = f.span(inner); err != nil {
			return 0, fmt.Errorf("%s %q: %w", f.name, text, err)
		}
	}
	width := high - low + 1
	if stepped {
		first := low + int(hash(name, f.name)%uint64(min(step, width)))
		return stepSet(first, high, step), nil
	}
	return 1 << (low + int(hash(name, f.name)%uint64(width))), nil
}

func stepSet(low, high, step int) (s set) {
	for n := low; n <= high; n += step {
		s |= 1 << n
	}
	return s
}

// hash returns a number that follows from the words alone, on every machine.
func hash(words ...string) uint64 {
	h := fnv.New64a()
	for _, w := range words {
		h.Write([]byte(w))
		h.Write([]byte{0})
	}
	x := h.Sum64() // mixed, because the low bits of FNV differ little between similar names
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// never is returned by expression.next if nothing matches.
const never = -1 << 63

// next returns the first reading of the wall clock at or after w that matches. Readings are
// counted in seconds since the start of 1970, as if every day had 24 hours.
func (e *expression) next(w int64) int64 {
	t := time.Unix(w, 0).UTC()
	limit := t.Year() + 9 // 29 February may be 8 years away
	for t.Year() <= limit {
		m := e.month.from(int(t.Month()))
		switch {
		case m < 0:
			t = time.Date(t.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
			continue
		case m > int(t.Month()):
			t = time.Date(t.Year(), time.Month(m), 1, 0, 0, 0, 0, time.UTC)
		}
		if !e.matchesDay(t) {
			t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if s := e.inDay(t.Hour(), t.Minute(), t.Second()); s >= 0 {
			return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, s, 0, time.UTC).Unix()
		}
		t = time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
	}
	return never
}

func (e *expression) matchesDay(t time.Time) bool {
	day, weekday := e.day.has(t.Day()), e.weekday.has(int(t.Weekday()))
	if e.anyDay || e.anyWeekday {
		return day && weekday
	}
	return day || weekday
}

// inDay returns the first second of the day, at or after a time of day, that matches, or -1.
func (e *expression) inDay(hour, minute, second int) int {
	for h := e.hour.from(hour); h >= 0; h = e.hour.from(h + 1) {
		if h > hour {
			minute, second = 0, 0
		}
		for m := e.minute.from(minute); m >= 0; m = e.minute.from(m + 1) {
			if m > minute {
				second = 0
			}
			if s := e.second.from(second); s >= 0 {
				return h*3600 + m*60 + s
			}
			second = 0
		}
		minute, second = 0, 0
	}
	return -1
}
