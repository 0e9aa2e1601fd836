package envelope

import (
	"sort"
	"strconv"
	"strings"
	"time"
)

// Patch is a set of changes to a job's top-level fields. Apply keeps every other byte of the
// payload. The zero Patch changes nothing.
type Patch struct {
	changes []change
}

type change struct {
	key   string
	token string // raw JSON; "" removes the field
}

// Set sets a field to a JSON value: in place if the field is there, else at the end. A later Set or
// Remove of the same field replaces this one.
func (p *Patch) Set(key, token string) {
	for i := range p.changes {
		if p.changes[i].key == key {
			p.changes[i].token = token
			return
		}
	}
	p.changes = append(p.changes, change{key, token})
}

// Remove removes a field, and all other fields of the same name.
func (p *Patch) Remove(key string) { p.Set(key, "") }

// SetString sets a field to a string. Invalid UTF-8 becomes U+FFFD.
func (p *Patch) SetString(key, text string) { p.Set(key, string(AppendString(nil, text))) }

// SetInt sets a field to an integer.
func (p *Patch) SetInt(key string, n int64) { p.Set(key, strconv.FormatInt(n, 10)) }

// SetTime sets a field to a time, in the form that f has for j.
func (p *Patch) SetTime(key string, t time.Time, f Timestamps, j *Job) {
	p.Set(key, string(f.AppendTime(nil, t, j)))
}

// Apply returns j's payload with the changes.
func (p *Patch) Apply(j *Job) string {
	edits, left := p.cuts(j)
	var added []byte
	for _, c := range p.changes {
		if c.token == "" {
			continue
		}
		if m := j.find(c.key); m != nil {
			edits = append(edits, edit{m.value, c.token})
			continue
		}
		added = append(added, ',')
		added = AppendString(added, c.key)
		added = append(added, ':')
		added = append(added, c.token...)
	}
	if len(added) > 0 {
		at := j.open
		if n := len(j.members); n > 0 {
			at = j.members[n-1].value.end
		}
		if left == 0 {
			added = added[1:] // no field is left before it, so no comma
		}
		edits = append(edits, edit{span{at, at}, string(added)})
	}
	return splice(j.raw, edits)
}

// cuts returns the edits that remove members, each with one comma, and the number of members that
// stay.
func (p *Patch) cuts(j *Job) (edits []edit, left int) {
	for i, m := range j.members {
		switch {
		case !p.removes(j, m):
			left++
		case left > 0: // the comma before it
			edits = append(edits, edit{span{j.members[i-1].value.end, m.value.end}, ""})
		case i+1 < len(j.members): // the comma after it
			edits = append(edits, edit{span{m.name.start, j.members[i+1].name.start}, ""})
		default:
			edits = append(edits, edit{span{m.name.start, m.value.end}, ""})
		}
	}
	return edits, left
}

func (p *Patch) removes(j *Job, m member) bool {
	for _, c := range p.changes {
		if c.token != "" {
			continue
		}
		if name, _ := Unquote(m.name.token(j.raw)); name == c.key {
			return true
		}
	}
	return false
}

type edit struct {
	at   span
	text string
}

// splice replaces the ranges of the edits, which do not overlap but may be adjacent.
func splice(raw string, edits []edit) string {
	sort.SliceStable(edits, func(a, b int) bool { return edits[a].at.start < edits[b].at.start })
	var out strings.Builder
	out.Grow(len(raw) + 64)
	last := int32(0)
	for _, e := range edits {
		out.WriteString(raw[last:e.at.start])
		out.WriteString(e.text)
		last = e.at.end
	}
	out.WriteString(raw[last:])
	return out.String()
}
