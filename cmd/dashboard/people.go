package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/spf13/pflag"
)

// The files that the unit hands to the dashboard.
const (
	usersFile  = "/etc/kyu/dashboard_users"
	tokensFile = "/etc/kyu/dashboard_tokens"
)

// people are the commands that write the files of --users and --tokens.
var people = map[string]func(*person, context.Context, *console) error{
	"adduser":  (*person).addUser,
	"addtoken": (*person).addToken,
}

// console is where a command reads and writes.
type console struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// person is who a command is about.
type person struct {
	name, file, roleName string
	role                 access.Role
}

func peopleFlags(p *person, command string) *pflag.FlagSet {
	f := pflag.NewFlagSet(command, pflag.ContinueOnError)
	f.Usage = func() {}
	f.StringVar(&p.roleName, "role", "viewer", "the `ROLE`: viewer, operator or admin")
	name, path := "users", usersFile
	if command == "addtoken" {
		name, path = "tokens", tokensFile
	}
	f.StringVar(&p.file, name, path, "the `FILE` that is changed")
	return f
}

// runPeople runs a command of people, and returns its exit code.
func runPeople(ctx context.Context, command string, args []string, c *console) int {
	p := &person{}
	f := peopleFlags(p, command)
	err := f.Parse(args)
	if errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(c.out, "%s\n\nUsage:\n  dashboard %s NAME [flags]\n\nFlags:\n%s",
			peopleText[command], command, f.FlagUsages())
		return 0
	}
	if err == nil && f.NArg() != 1 {
		err = errors.New("want one NAME")
	}
	if err == nil {
		p.name = f.Arg(0)
		p.role, err = access.ParseRole(p.roleName)
	}
	if err != nil {
		fmt.Fprintf(c.err, "dashboard %s: %v\nSee `dashboard %s --help`.\n", command, err, command)
		return 2
	}
	if err := people[command](p, ctx, c); err != nil {
		fmt.Fprintf(c.err, "dashboard %s: %v\n", command, err)
		return 1
	}
	return 0
}

var peopleText = map[string]string{
	"adduser": "Adds a user, or changes a user's role and password. The password is asked for\n" +
		"at a terminal, and otherwise is the first line of the standard input.",
	"addtoken": "Makes a token for a script, and prints it. It takes the place of an earlier\n" +
		"token of that name.",
}

func (p *person) addUser(ctx context.Context, c *console) error {
	password, err := readPassword(ctx, c)
	if err != nil {
		return err
	}
	replaced, err := access.SetUser(p.file, p.name, p.role, password)
	if err != nil {
		return err
	}
	p.report(c.out, replaced)
	return nil
}

// addToken prints the token to the standard output and all else to the other one, so that a script
// can take it.
func (p *person) addToken(_ context.Context, c *console) error {
	token, replaced, err := access.SetToken(p.file, p.name, p.role)
	if err != nil {
		return err
	}
	p.report(c.err, replaced)
	fmt.Fprintln(c.out, token)
	return nil
}

func (p *person) report(w io.Writer, replaced bool) {
	did := "added"
	if replaced {
		did = "changed"
	}
	fmt.Fprintf(w, "%s %s, %s, in %s\n", did, p.name, p.role, p.file)
	if p.file == usersFile || p.file == tokensFile {
		fmt.Fprintln(w, "The unit reads the file when it starts: systemctl restart dashboard")
	}
}
