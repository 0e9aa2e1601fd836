package monitor_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/worker"
	"go.yaml.in/yaml/v3"
)

// metrics lists the names of all metrics that a worker shows.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	store := redistest.Start(t).Store()
	m := watched(t, store, 1)
	m.Ran(worker.JobRun{Queue: "a", Class: "A", Outcome: worker.OutcomeDone})
	m.Fetched(time.Millisecond, 1, nil)
	if _, err := queue.NewClient(store).Push(t.Context(), "A", nil, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	_, page := get(t, m, "/metrics")
	real := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (kyu_\w+) `).
		FindAllStringSubmatch(page, -1) {
		real[match[1]] = true
	}
	return real
}

// text reads a file.
func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMetricNames(t *testing.T) {
	real := metrics(t)
	t.Run("are all in docs/operations.md", func(t *testing.T) {
		manual := text(t, "../docs/operations.md")
		for name := range real {
			if !strings.Contains(manual, "`"+name+"`") {
				t.Errorf("%s is not in docs/operations.md", name)
			}
		}
	})
	t.Run("in the documentation, the rules and the dashboard are real", func(t *testing.T) {
		for _, path := range []string{"../docs/operations.md", "../deploy/prometheus/kyu.rules.yml",
			"../deploy/grafana/kyu.json"} {
			for _, name := range regexp.MustCompile(`\bkyu_\w+`).FindAllString(text(t, path), -1) {
				base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
				if !real[base] && !strings.HasPrefix(base, "kyu_pg_") &&
					base != "kyu_fleet_" && base != "kyu_outbox" { // a table
					t.Errorf("%s names %s, which is not a metric", path, name)
				}
			}
		}
	})
}

func TestDashboard(t *testing.T) {
	t.Run("is JSON", func(t *testing.T) {
		if !json.Valid([]byte(text(t, "../deploy/grafana/kyu.json"))) {
			t.Error("it is not")
		}
	})
}

func TestRules(t *testing.T) {
	t.Run("are alerts or records with an expression", func(t *testing.T) {
		var rules struct {
			Groups []struct {
				Rules []struct{ Alert, Record, Expr string }
			}
		}
		if err := yaml.Unmarshal([]byte(text(t, "../deploy/prometheus/kyu.rules.yml")),
			&rules); err != nil || len(rules.Groups) != 1 {
			t.Fatal(err)
		}
		for _, rule := range rules.Groups[0].Rules {
			if rule.Expr == "" || (rule.Alert == "") == (rule.Record == "") {
				t.Errorf("%+v", rule)
			}
		}
	})
	t.Run("are valid for promtool, if it is installed", func(t *testing.T) {
		if promtool, err := exec.LookPath("promtool"); err != nil {
			t.Skip("promtool is not installed: the rules were only read as YAML")
		} else if out, err := exec.Command(promtool, "check", "rules",
			"../deploy/prometheus/kyu.rules.yml").CombinedOutput(); err != nil {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	})
}
