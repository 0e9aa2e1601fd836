package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// recorder keeps what a command prints of several shards, and prints it as one.
type recorder struct {
	c     *call
	out   io.Writer
	shard string // of what is printed now
	parts []part
}

// part is something that was printed of a shard: a text, a table, or a value for programs.
type part struct {
	shard string
	level int // how many tables of the shard were before it
	text  string
	table *table
	value any
}

// newRecorder makes the call print into a recorder, until end.
func newRecorder(c *call) *recorder {
	r := &recorder{c: c, out: c.out}
	c.rec, c.out = r, r
	return r
}

// end lets the call print as before.
func (r *recorder) end(c *call) {
	c.rec, c.out = nil, r.out
	c.shard, c.store, c.inspector = nil, nil, nil
}

// begin says of which shard the next parts are.
func (r *recorder) begin(shard string) { r.shard = shard }

// Write keeps a text.
func (r *recorder) Write(b []byte) (int, error) {
	if last := len(r.parts) - 1; last >= 0 && r.parts[last].shard == r.shard &&
		r.parts[last].text != "" {
		r.parts[last].text += string(b)
		return len(b), nil
	}
	r.add(part{text: string(b)})
	return len(b), nil
}

// add keeps a part.
func (r *recorder) add(p part) {
	p.shard = r.shard
	for _, before := range r.parts {
		if before.shard == r.shard && before.table != nil {
			p.level++
		}
	}
	r.parts = append(r.parts, p)
}

// flush prints what was kept. The tables of the shards become one, in their order.
func (r *recorder) flush() error {
	parts := r.parts
	r.parts = nil
	if r.c.json() {
		return r.printValues(parts)
	}
	levels := 0
	for _, p := range parts {
		levels = max(levels, p.level+1)
	}
	for level := range levels {
		var tables []part
		for _, p := range parts {
			switch {
			case p.level != level:
			case p.table != nil:
				tables = append(tables, p)
			case strings.TrimSpace(p.text) != "":
				r.printText(p)
			}
		}
		if len(tables) > 0 && level > 0 {
			fmt.Fprintln(r.out)
		}
		if err := r.printTables(tables); err != nil {
			return err
		}
	}
	return nil
}

// printText prints a line with the name of its shard, or several lines below it.
func (r *recorder) printText(p part) {
	text := strings.Trim(p.text, "\n")
	if strings.Contains(text, "\n") {
		fmt.Fprintf(r.out, "shard %s:\n%s\n", p.shard, text)
		return
	}
	fmt.Fprintf(r.out, "shard %s: %s\n", p.shard, text)
}

// printTables prints the rows of several tables as one table with the column SHARD, or tables
// without titles one after another.
func (r *recorder) printTables(tables []part) error {
	var all *table
	for _, p := range tables {
		rows := p.table.rows
		if len(rows) == 0 {
			continue
		}
		if !hasTitles(rows[0]) {
			single := &table{out: r.out, limit: p.table.limit,
				rows: append([][]string{{"shard", p.shard}}, rows...)}
			if err := single.Flush(); err != nil {
				return err
			}
			continue
		}
		if all == nil {
			all = &table{out: r.out, limit: p.table.limit, rows: [][]string{{"SHARD"}}}
		}
		all.append(p.shard, rows)
	}
	if all == nil {
		return nil
	}
	return all.Flush()
}

// hasTitles reports whether a row has the titles of columns.
func hasTitles(row []string) bool {
	return len(row) > 0 && row[0] != "" && strings.ToUpper(row[0]) == row[0]
}

// append adds the rows of a shard. The shard may have other columns than those before.
func (t *table) append(shard string, rows [][]string) {
	places := make([]int, len(rows[0]))
	for i, title := range rows[0] {
		at := slices.Index(t.rows[0], title)
		if at < 0 {
			at = len(t.rows[0])
			if i > 0 { // behind the column before it
				at = places[i-1] + 1
			}
			for row := range t.rows {
				cell := ""
				if row == 0 {
					cell = title
				}
				t.rows[row] = slices.Insert(t.rows[row], at, cell)
			}
		}
		places[i] = at
	}
	for _, row := range rows[1:] {
		cells := make([]string, len(t.rows[0]))
		cells[0] = shard
		for i, cell := range row {
			cells[places[i]] = cell
		}
		t.rows = append(t.rows, cells)
	}
}

// printValues prints the values of all shards as one list, each with the field "shard".
func (r *recorder) printValues(parts []part) error {
	list, single := []json.RawMessage{}, len(parts) == 1
	for _, p := range parts {
		b, err := marshal(p.value)
		if err != nil {
			return err
		}
		var values []json.RawMessage
		if p.value == nil {
			continue
		}
		if json.Unmarshal(b, &values) != nil {
			values = []json.RawMessage{b}
		} else {
			single = false
		}
		for _, v := range values {
			list = append(list, ofShard(p.shard, v))
		}
	}
	c := *r.c
	c.rec, c.out = nil, r.out
	switch {
	case len(parts) == 0:
		return nil
	case single && len(list) == 1 && c.form != jsonLines: // a list is a line for each value
		return c.print(list[0])
	}
	return c.print(list)
}

// marshal encodes a value as the program prints it.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// ofShard puts the field "shard" before those of an object. Any other value becomes the field
// "value".
func ofShard(shard string, v json.RawMessage) json.RawMessage {
	name, _ := json.Marshal(shard) // a string always marshals
	var fields map[string]json.RawMessage
	if json.Unmarshal(v, &fields) != nil {
		fields, v = nil, append([]byte(`{"value":`), append(v, '}')...)
	}
	if _, has := fields["shard"]; has {
		return v
	}
	rest := bytes.TrimSpace(bytes.TrimPrefix(v, []byte("{")))
	if rest[0] != '}' {
		rest = append([]byte(","), rest...)
	}
	return append(append([]byte(`{"shard":`), name...), rest...)
}
