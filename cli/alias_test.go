package cli

import (
	"fmt"
	"strings"
	"testing"
)

// TestAliases compares settings with those of Ruby's Sidekiq for the same file.
func TestAliases(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"an item of the queues": {"d: &d default\n:queues: [*d, push]\n", "5 default push"},
		"a number":              {"c: &c 7\n:concurrency: *c\n", "7 default push mailers pull"},
		"a section of the environment": {"production: &p\n  :concurrency: 9\nstaging: *p\n",
			"9 default push mailers pull"},
		"a weight in a list": {"w: &w 3\n:queues: [[high, *w], [low, 1]]\n", "5 high,3 low,1"},
		"all queues":         {"q: &q [a, b]\n:queues: *q\n", "5 a b"},
		"capsules": {"cp: &cp {x: {concurrency: 2, queues: [c]}}\n:capsules: *cp\nqueues: [a]\n",
			"5 a; 2 c"},
		"a capsule": {"x: &x {concurrency: 2, queues: [c]}\ncapsules: {y: *x}\nqueues: [a]\n",
			"5 a; 2 c"},
		"a merge":           {"b: &b\n  :concurrency: 8\n<<: *b\nqueues: [a]\n", "8 a"},
		"a merge in a part": {"b: &b {concurrency: 8}\nstaging:\n  <<: *b\n  queues: [a]\n", "8 a"},
		"a later key wins over a merge": {
			"b: &b {concurrency: 8}\n<<: *b\nconcurrency: 3\nqueues: [a]\n", "3 a"},
		"a later merge wins over a key": {
			"b: &b {concurrency: 8}\nconcurrency: 3\n<<: *b\nqueues: [a]\n", "8 a"},
		"of a list of merges the first wins": {"a: &a {concurrency: 1}\nb: &b {concurrency: 2}\n" +
			"<<: [*a, *b]\nqueues: [a]\n", "1 a"},
		"an alias of an alias":     {"a: &a 4\nb: &b [*a]\nqueues: [[x, *a]]\n", "5 x,4"},
		"a symbol as an alias":     {"d: &d :default\nqueues: [*d]\n", "5 default"},
		"nothing behind the alias": {"n: &n\nqueues: *n\n", "5 default push mailers pull"},
		"a key twice":              {"concurrency: 3\nconcurrency: 4\nqueues: [a]\n", "4 a"},
	} {
		t.Run(name, func(t *testing.T) {
			s := resolved(t, c.yaml, nil, "-e", "staging")
			var capsules []string
			for _, x := range s.worker.Capsules {
				capsules = append(capsules, fmt.Sprint(x.Concurrency, " ", queueList(x.Queues)))
			}
			if got := strings.Join(capsules, "; "); got != c.want || s.problems != nil {
				t.Errorf("%s, want %s (%v)", got, c.want, s.problems)
			}
		})
	}
	for name, c := range map[string]struct{ yaml, want string }{
		"an alias of itself": {"a: &a [*a]\n", "stands for itself"},
		"a merge of a text":  {"a: &a text\n<<: *a\n", "want the alias of a mapping"},
		"aliases that stand for millions": {"a: &a [1,1,1,1,1,1,1,1,1]\n" + multiply("abcdefg"),
			"stand for more than"},
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			s := resolved(t, c.yaml, nil)
			if s.problems == nil || !strings.Contains(s.problems.Error(), c.want) {
				t.Errorf("%v, want %s", s.problems, c.want)
			}
		})
	}
}

// multiply is a line for each name but the first: nine aliases of the name before it.
func multiply(names string) (yaml string) {
	for i := 1; i < len(names); i++ {
		before := strings.Repeat("*"+names[i-1:i]+",", 9)
		yaml += fmt.Sprintf("%c: &%c [%s]\n", names[i], names[i], strings.TrimSuffix(before, ","))
	}
	return yaml
}
