package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/internal/mastodon"
)

// share is one process: an instance of worker@.service, its threads, and its queues if the name of
// the instance does not say them.
type share struct {
	instance string
	threads  int
	queues   []string
}

// instanceName is a name that is part of the name of a unit and of a file.
var instanceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// parseSplit reads default=15,push=25,push-2=25. It joins all problems.
func parseSplit(text string) (list []share, err error) {
	var problems []error
	seen := map[string]bool{}
	for _, part := range strings.Split(text, ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(number)
		switch {
		case !instanceName.MatchString(name) || err != nil || n < 1 || seen[name]:
			problems = append(problems, fmt.Errorf("--split %q: want INSTANCE=THREADS, each once, "+
				"such as default=15,push=25,push-2=25", part))
		case name == "worker" || name == "dashboard":
			problems = append(problems, fmt.Errorf("--split %q: %s.env has the settings of all "+
				"%ss: for a queue of the name %s, name the instance %s-1", part, name, name, name,
				name))
		default:
			list = append(list, share{name, n, nil})
		}
		seen[name] = true
	}
	return list, errors.Join(problems...)
}

// unit is the name of its unit.
func (s share) unit() string { return "worker@" + s.instance }

// args are the flags of the worker.
func (s share) args() string {
	text := fmt.Sprintf("-c %d", s.threads)
	for _, q := range s.queues {
		text += " -q " + q
	}
	return text
}

// shownSettings are the variables of its file.
var shownSettings = []string{"WORKER_ARGS", "DB_POOL"}

// settings are their values.
func (s share) settings() map[string]string {
	return map[string]string{"WORKER_ARGS": s.args(), "DB_POOL": strconv.Itoa(s.threads)}
}

// file is the text of its file.
func (s share) file() string {
	return fmt.Sprintf("# Of %s. Written by workerctl install-units; yours to change.\n"+
		"WORKER_ARGS=%s\nDB_POOL=%d\n", s.unit(), s.args(), s.threads)
}

// variables are what systemd gives to the worker of an instance, and the files of it that exist.
func (u *installUnits) variables(s share) (vars map[string]string, kept []string, err error) {
	vars = map[string]string{}
	for _, name := range []string{"worker", s.instance} {
		path := u.settingsFile(name)
		text, err := os.ReadFile(path)
		switch {
		case err == nil:
			kept = append(kept, path)
		case !errors.Is(err, os.ErrNotExist):
			return nil, nil, err
		case name == s.instance:
			text = []byte(s.file())
		}
		for key, value := range parseUnitFile(string(text)) {
			vars[key] = value
		}
	}
	return vars, kept, nil
}

func (u *installUnits) settingsFile(instance string) string {
	return filepath.Join(u.root, configDir, instance+".env")
}

// examine lets the code that a worker boots with read the settings of an instance. All problems for
// which the worker would not start are in one error.
func (u *installUnits) examine(s share) (mastodon.Needs, error) {
	vars, kept, err := u.variables(s)
	if err != nil {
		return mastodon.Needs{}, err
	}
	w := mastodon.New("worker")
	w.Getenv = u.environment(vars)
	args := append([]string{"--instance", s.instance}, unitWords(vars["WORKER_ARGS"])...)
	needs, err := w.Check(filepath.Join(u.root, "/"), args)
	if err == nil {
		return needs, nil
	}
	from := "as this call would write it"
	if len(kept) > 0 {
		from = "with " + strings.Join(kept, " and ")
	}
	var problems []error
	for line := range strings.Lines(err.Error()) {
		problems = append(problems, fmt.Errorf("%s would not start, %s: %s", s.unit(), from,
			strings.TrimSpace(line)))
	}
	return needs, errors.Join(problems...)
}

// environment reads the variables of a unit. The addresses are credentials. That of Postgres may
// come later: until then another one lets the worker read DB_POOL.
func (u *installUnits) environment(vars map[string]string) func(key string) string {
	credentials := filepath.Join(u.root, configDir)
	address, _ := os.ReadFile(filepath.Join(credentials, "database_url"))
	given := strings.TrimSpace(string(address)) != ""
	for _, key := range []string{"DATABASE_URL", "DATABASE_URL_FILE", "DB_HOST", "DB_NAME",
		"DB_USER"} {
		given = given || vars[key] != ""
	}
	return func(key string) string {
		switch {
		case key == "CREDENTIALS_DIRECTORY":
			return credentials
		case key == "DATABASE_URL" && !given:
			return "postgres://localhost/kyu"
		}
		return vars[key]
	}
}

// writeSettings writes the settings that do not exist yet. Those that exist are the admin's.
func (u *installUnits) writeSettings(c *call) error {
	if text, err := os.ReadFile(u.settingsFile("worker")); err == nil && len(u.shares) > 0 {
		vars := parseUnitFile(string(text))
		for _, key := range shownSettings {
			if value, there := vars[key]; there {
				c.done(nil, fmt.Sprintf("kept  %s: %s=%s, for instances whose files do not set it",
					u.settingsFile("worker"), key, shellWord(value)))
			}
		}
	}
	for _, s := range u.shares {
		path := u.settingsFile(s.instance)
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			err = c.write(path, s.file(), 0o644)
		} else if err == nil {
			c.keptSettings(path, parseUnitFile(string(text)), s.settings())
		}
		if err != nil {
			return err
		}
	}
	return u.writeCredentials(c)
}

// keptSettings prints what a file that is kept says, and what this call would have written.
func (c *call) keptSettings(path string, is, would map[string]string) {
	for _, key := range shownSettings {
		value, there := is[key]
		says := fmt.Sprintf("%s=%s", key, shellWord(value))
		if !there {
			says = key + " is not in it"
		}
		if there && value == would[key] {
			says += ", as this call would write it"
		} else {
			says += "; this call would write " + would[key]
		}
		c.done(nil, fmt.Sprintf("kept  %s: %s", path, printable(says)))
	}
}

// shellWord is a value as it may stand behind a variable's name.
func shellWord(value string) string {
	if value == "" || strings.ContainsAny(value, " \t\n\"'\\") {
		return strconv.Quote(value)
	}
	return value
}
