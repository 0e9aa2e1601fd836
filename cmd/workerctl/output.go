package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// form is the form of what a command prints. It is the value of the flag --output.
type form string

// The forms. jsonLines is a JSON value on each line: one for each row of a list.
const (
	tables    form = "table"
	wide      form = "wide" // tables that are not cut to the width of the terminal
	jsonText  form = "json"
	jsonLines form = "jsonl"
)

// forms are all of them, in the order of the help.
var forms = []string{string(tables), string(wide), string(jsonText), string(jsonLines)}

// String is the flag's default, or what was given.
func (f *form) String() string { return string(*f) }

// Type is the name of the flag's value in the help.
func (f *form) Type() string { return "FORM" }

// Set refuses a form that there is not.
func (f *form) Set(text string) error {
	if !slices.Contains(forms, text) {
		return fmt.Errorf("want %s", strings.Join(forms, ", "))
	}
	*f = form(text)
	return nil
}

// outputFlags adds the flags of every command.
func (c *call) outputFlags(root *cobra.Command) {
	c.form = tables
	flags := root.PersistentFlags()
	flags.SortFlags = false
	flags.VarP(&c.form, "output", "o", "table, wide (nothing is cut), json, or jsonl (a line for "+
		"each row)")
	flags.BoolFunc("json", "the same as -o json", func(text string) error {
		if text == "true" {
			c.form = jsonText
		}
		return nil
	})
	flags.StringVar(&c.only, "shard", "", "the `NAME` of the only shard of KYU_SHARDS that is "+
		"asked, "+
		"instead of all")
	flags.StringVar(&c.as, "as", "", "the `NAME` of the person, for the audit, if it is not the "+
		"user's")
	err := root.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // there is no such flag: a mistake in this program
	}
}

// json reports whether the command prints for programs.
func (c *call) json() bool { return c.form == jsonText || c.form == jsonLines }

// terminalWidth is the number of columns of a terminal, or 0 if out is none.
func terminalWidth(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// print writes a value as JSON. As lines, a list is a line for each of its values.
func (c *call) print(v any) error {
	if c.rec != nil {
		c.rec.add(part{value: v})
		return nil
	}
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	if c.form != jsonLines {
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice {
		return e.Encode(v)
	}
	for i := range list.Len() {
		if err := e.Encode(list.Index(i).Interface()); err != nil {
			return err
		}
	}
	return nil
}

// done says what was done if there is no error, and returns the error. As JSON, the lines of a
// command are one list, which printDone prints.
func (c *call) done(err error, line string) error {
	switch {
	case err != nil:
		return err
	case !c.json():
		fmt.Fprintln(c.out, line)
	default:
		if name := c.shardName(); name != "" {
			line = "shard " + name + ": " + line
		}
		c.did = append(c.did, line)
	}
	return nil
}

// printDone prints what was done, as JSON, also if the command failed after it.
func (c *call) printDone() error {
	if len(c.did) == 0 {
		return nil
	}
	if c.form == jsonText {
		return c.print(map[string][]string{"done": c.did})
	}
	for _, line := range c.did {
		if err := c.print(map[string]string{"done": line}); err != nil {
			return err
		}
	}
	return nil
}
