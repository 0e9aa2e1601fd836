package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// lanesOf returns the rules that an App reads from arguments, as text, and its problems.
func lanesOf(t *testing.T, file string, args ...string) (rules string, problems error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "sidekiq.yml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-C", path)
	}
	a := New("worker")
	a.Getenv = func(string) string { return "" }
	o, err := a.parse(args)
	if err != nil {
		t.Fatal(err)
	}
	s := a.resolve(o)
	for _, x := range s.env.Settings {
		if strings.HasPrefix(x.Name, "lanes") {
			rules += x.Name + ": " + x.Value + "\n"
		}
	}
	return rules, s.env.Err()
}

func TestLanes(t *testing.T) {
	for name, x := range map[string]struct {
		file string
		args []string
		want string
	}{
		"of a flag": {"", []string{"--lanes", "push,key=args.2|host,max=8"},
			"lanes of push: key=args.2|host,max=8\n"},
		"of a file": {":lanes:\n  :push: {key: \"args.2|host\", max: 8, rate: 20/s, burst: 40}\n" +
			"  pull: max=3\n", nil,
			"lanes of pull: max=3\nlanes of push: key=args.2|host,max=8,rate=20/s,burst=40\n"},
		"with weights": {"lanes: {a: {key: args.0, weights: {x: 2}, beside_ruby: true}}\n", nil,
			"lanes of a: key=args.0,weight.x=2,beside-ruby\n"},
		"of a flag before those of a file": {"lanes: {a: max=1}\n", []string{"--lanes", "b,max=2"},
			"lanes of b: max=2\n"},
		"may be none": {"", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := lanesOf(t, x.file, x.args...)
			if err != nil || got != x.want {
				t.Errorf("%q, %v, want %q", got, err, x.want)
			}
		})
	}
	t.Run("are refused with all problems", func(t *testing.T) {
		_, err := lanesOf(t, "", "--lanes", "push,max=x,rate=3", "--lanes", "max=3", "--lanes",
			",max=1", "--lanes", "a,max=1", "--lanes", "a,max=2")
		for _, part := range []string{"max=x: want a number", "rate=3: want a number per",
			"the rule says nothing", "want QUEUE,RULE", "the queue has two rules"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("no %q in: %v", part, err)
			}
		}
	})
}
